"""The lab: container images built from source packages (no registry), a Docker daemon, and what both need."""
