#!/bin/sh
# Carries the images of a bundle to a cluster without a network. Needs docker.
#   ./bundle.sh save             on a machine with registries: pulls every image of images.txt into images/
#   ./bundle.sh load REGISTRY    inside: pushes them to REGISTRY, under the names that global.imageRegistry: REGISTRY gives
set -eu
cd "$(dirname "$0")"

file() { # of an image's archive
  printf 'images/%s.tar' "$(printf %s "$1" | tr '/:@' '___')"
}

case "${1:-}" in
save)
  mkdir -p images
  while read -r image; do
    docker pull "$image"
    docker save -o "$(file "$image")" "$image"
  done <images.txt
  ;;
load)
  registry="${2:?bundle.sh load: which registry? For example: ./bundle.sh load registry.example.com/mirror}"
  while read -r image; do
    docker load -i "$(file "$image")"
    name="$registry/${image#*/}" # every image of images.txt names its registry first
    docker tag "$image" "$name"
    docker push "$name"
  done <images.txt
  echo "then: helm install … --set global.imageRegistry=$registry"
  ;;
*)
  echo "usage: ./bundle.sh save | ./bundle.sh load REGISTRY" >&2
  exit 2
  ;;
esac
