#!/bin/bash
# A real Docker Engine for tests: `dockerd` by hand, in a folder of its own, beside whatever else runs on the machine.
#
#   engine.sh start DIR      packages, then the daemon; prints its socket
#   engine.sh images DIR     the test images portico-test/mariadb:1 and portico-test/wordpress:1, built or taken from the cache
#   engine.sh registry DIR   a registry on a loopback port that holds an image the Engine lacks; prints the image's name
#   engine.sh docker DIR …   the docker client on that Engine
#   engine.sh stop DIR       removes containers, networks and volumes, ends both daemons; images stay for the next start
#   engine.sh remove DIR     stop, and the folder goes, too
#
# Every step may be repeated, also by several processes at once. Root is needed. Results go to stdout, what is being done to
# stderr. No system service is started or touched. PORTICO_ENGINE_CACHE names another cache than target/engine/cache.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${PORTICO_ENGINE_CACHE:-$(cd "$HERE/../.." && pwd)/target/engine/cache}
export LC_ALL=C

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
. "$HERE/daemon.sh"
. "$HERE/images.sh"
. "$HERE/registry.sh"

usage() { sed -n '4,9s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
[ $# -ge 2 ] || usage
STEP=$1
case $2 in /*) DIR=$2 ;; *) DIR=$PWD/$2 ;; esac
SOCK=$DIR/docker.sock
shift 2

[ "$(id -u)" = 0 ] || die "a Docker Engine can only be started by root: run this as root, or with sudo"
# Sockets have short names by law of the kernel, and containerd makes longer ones below this folder.
[ ${#DIR} -le 60 ] || die "$DIR is too long for the paths of sockets: choose a folder of at most 60 characters"
mkdir -p "$DIR" "$CACHE"
exec 9>"$DIR/lock"
case $STEP in
  start) flock 9; packages; daemon_start; echo "$SOCK" ;;
  images) flock 9; packages; daemon_start; images ;;
  registry) flock 9; packages; daemon_start; registry ;;
  docker) client "$@" ;;
  stop) flock 9; daemon_stop ;;
  remove) flock 9; daemon_stop; rm -rf -- "$DIR" ;;
  *) usage ;;
esac
