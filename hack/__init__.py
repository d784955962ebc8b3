"""Development, lab and demo tooling of llm-stack: everything behind the Makefile's one-line recipes."""
