"""`helm test`: ask the served model for its list, and for what it is there for. Standard library only: runs in the engine image.

A model that generates is asked for a completion and a stream, one that embeds, scores or classifies for that.
Environment: HOST (name:port), MODEL, TASK (generate, embed, score or classify), PROMPT, MAX_TOKENS, WAIT_SECONDS (how long an
engine that still starts is waited for), API_KEY (where the engine wants one).
Ends with status 1 and one line that says what was wrong.
"""

import http.client
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

MODEL, KEY = os.environ["MODEL"], os.environ.get("API_KEY")
# KServe's own configuration says whether engines speak TLS, with certificates of its own authority; which one answers tells.
BASES = [f"http://{os.environ['HOST']}", f"https://{os.environ['HOST']}"]
UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname, UNVERIFIED.verify_mode = False, ssl.CERT_NONE


def ask(path, body=None):
    """One request; returns the open answer."""
    request = urllib.request.Request(BASES[0] + path, data=body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if KEY:
        request.add_header("Authorization", f"Bearer {KEY}")
    try:
        return urllib.request.urlopen(request, timeout=60, context=UNVERIFIED)
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: HTTP {error.code}: {error.read(500).decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"{path}: {error}")


end = time.monotonic() + int(os.environ["WAIT_SECONDS"])
while time.monotonic() < end:
    try:
        urllib.request.urlopen(BASES[0] + "/health", timeout=5, context=UNVERIFIED).close()
        break
    except (OSError, http.client.HTTPException):  # no name yet, nobody listens yet, 503, the other protocol
        BASES.reverse()
        time.sleep(1)

models = [entry["id"] for entry in json.load(ask("/v1/models"))["data"]]
if MODEL not in models:
    sys.exit(f"/v1/models: {MODEL} is not served; served are {models}")
print(f"models: {', '.join(models)}")

# Path, body, and where the answer has its numbers.
OTHER = {
    "embed": ("/v1/embeddings", {"input": os.environ["PROMPT"]}, lambda answer: answer["data"][0]["embedding"]),
    "score": ("/score", {"text_1": os.environ["PROMPT"], "text_2": [os.environ["PROMPT"]]}, lambda answer: answer["data"]),
    "classify": ("/classify", {"input": os.environ["PROMPT"]}, lambda answer: answer["data"][0]["probs"]),
}
if os.environ["TASK"] in OTHER:
    path, body, numbers = OTHER[os.environ["TASK"]]
    answer = json.load(ask(path, {"model": MODEL, **body}))
    if not numbers(answer):
        sys.exit(f"{path}: no numbers: {answer}")
    sys.exit(print(f"{os.environ['TASK']}: {len(numbers(answer))} numbers"))

wanted = {"model": MODEL, "prompt": os.environ["PROMPT"], "max_tokens": int(os.environ["MAX_TOKENS"]), "temperature": 0}
answer = json.load(ask("/v1/completions", wanted))
if not answer["usage"]["completion_tokens"]:
    sys.exit(f"/v1/completions: no tokens: {answer}")
print(f"completion: {answer['usage']['completion_tokens']} tokens: {answer['choices'][0]['text']!r}")

chunks, ended = [], False
for line in ask("/v1/completions", {**wanted, "stream": True}):
    data = line.decode().strip().removeprefix("data: ")
    if data == "[DONE]":
        ended = True
    elif data:
        chunks += [choice["text"] for choice in json.loads(data)["choices"]]
if not ended or not chunks:
    sys.exit(f"/v1/completions: the stream gave {len(chunks)} chunks and {'an' if ended else 'no'} end mark")
print(f"stream: {len(chunks)} chunks: {''.join(chunks)!r}")
