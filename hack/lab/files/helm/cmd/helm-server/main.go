// helm-server runs helm's own commands one after the other in one process, for tests that render thousands of times: of a render
// of a small chart, helm's start is three quarters.
//
// A line of standard input is a JSON list of helm's arguments; a line of standard output answers it: {"status": 0, "stdout": "…",
// "stderr": "…"}. It ends with its input. What helm would print itself goes into the answer, so nothing else may use these files.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"

	helmcmd "helm.sh/helm/v4/pkg/cmd"
)

type answer struct {
	Status int    `json:"status"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// run is main() of cmd/helm with its output kept. helm's logger writes to os.Stderr, cobra to the same.
func run(arguments []string, errorFile *os.File) (answer, error) {
	var out bytes.Buffer
	status := 0
	command, err := helmcmd.NewRootCmd(&out, arguments, helmcmd.SetupLogging)
	if err == nil {
		command.SetArgs(arguments)
		command.SetOut(&out) // where cobra itself prints help
		err = command.Execute()
	}
	if err != nil {
		status = 1
		if coded, ok := errors.AsType[helmcmd.CommandError](err); ok {
			status = coded.ExitCode
		}
	}
	if _, err := errorFile.Seek(0, io.SeekStart); err != nil {
		return answer{}, err
	}
	told, err := io.ReadAll(errorFile)
	if err != nil {
		return answer{}, err
	}
	if _, err := errorFile.Seek(0, io.SeekStart); err != nil {
		return answer{}, err
	}
	return answer{status, out.String(), string(told)}, errorFile.Truncate(0)
}

func serve(errorFile *os.File) error {
	questions, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	os.Stderr = errorFile
	for {
		var arguments []string
		if err := questions.Decode(&arguments); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		told, err := run(arguments, errorFile)
		if err != nil {
			return err
		}
		if err := answers.Encode(told); err != nil {
			return err
		}
	}
}

func main() {
	toPerson := os.Stderr
	errorFile, err := os.CreateTemp("", "helm-server-")
	if err == nil {
		os.Remove(errorFile.Name()) // the descriptor is enough, and nothing is left behind
		err = serve(errorFile)
	}
	if err != nil {
		io.WriteString(toPerson, "helm-server: "+err.Error()+"\n")
		os.Exit(1)
	}
}
