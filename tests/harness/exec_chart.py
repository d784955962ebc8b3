"""A throwaway chart around `llm-common.execWord`: a service whose command has no shell, as the multi-node mode renders it."""

from __future__ import annotations

import shutil
from pathlib import Path

from hack.paths import CHARTS

WORDS = CHARTS / "llm-common" / "templates" / "_words.tpl"
SERVICE = """
{{- $words := list }}
{{- range .Values.words }}{{ $words = append $words (include "llm-common.execWord" .) }}{{ end }}
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
spec:
  model:
    uri: pvc://weights/model
    name: model
  template:
    containers:
      - name: main
        command: [vllm, serve, /mnt/models]
        args:
          {{- toYaml $words | nindent 10 }}
"""


def write(folder: Path) -> Path:
    """The chart, in the new `folder`; its values are `words`, a list of text."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: exec\nversion: 0.0.0\n")
    (folder / "templates" / "service.yaml").write_text(SERVICE)
    shutil.copy(WORDS, folder / "templates")
    return folder
