# Packages, dockerd and its end. Sourced by engine.sh, which sets DIR, SOCK and CACHE and holds the lock.

# Installs by name what is missing. policy-rc.d keeps the packages from starting their services.
packages() {
  local missing=()
  command -v dockerd >/dev/null && command -v containerd >/dev/null || missing+=(docker.io)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  command -v docker-registry >/dev/null || missing+=(docker-registry)
  command -v curl >/dev/null || missing+=(curl)
  command -v npm >/dev/null || missing+=(npm)
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  (
    flock 8
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      printf '#!/bin/sh\nexit 101\n' >$policy
      chmod 755 $policy
      trap 'rm -f $policy' EXIT
    fi
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$DIR/apt.log" 2>&1 ||
      { tail -n 20 "$DIR/apt.log" >&2; die "installing ${missing[*]} failed: see above"; }
  ) 8>"$CACHE/apt.lock"
}

# Debian's client, where it is: another `docker` may come first in PATH.
client() {
  local docker=docker
  [ ! -x /usr/bin/docker ] || docker=/usr/bin/docker
  DOCKER_HOST=unix://$SOCK "$docker" "$@"
}

# The pid in a file, if that process lives (a zombie doesn't) and is the program that we started.
living() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ && $(cat "/proc/$pid/stat" 2>/dev/null) =~ ^$pid\ \($2.*\)\ [^Z] ]] && echo "$pid"
}

# ended PIDFILE NAME PID: TERM, half a minute, then KILL.
ended() {
  kill -TERM "$3"
  for _ in $(seq 300); do
    living "$1" "$2" >/dev/null || return 0
    sleep 0.1
  done
  say "$2 $3 did not end in 30 s, and is killed"
  kill -KILL "$3"
}

ping_engine() { curl -sf --max-time 2 --unix-socket "$SOCK" http://engine/_ping >/dev/null 2>&1; }

# A tenth of the private 10/8, chosen by the folder, so that engines of several folders don't take each other's networks.
# Its /24 parts are enough for 256 sites; the Engine's own default would end at 31.
pool() { echo "10.$((0x$(printf %s "$DIR" | sha256sum | cut -c1-2) % 100 + 100)).0.0/16"; }

# Without iptables and the default bridge the machine's own Docker, its firewall and its forwarding are left alone. Published
# ports are carried by docker-proxy, and networks made through the API work as always. Compiling a filter of system calls costs more
# than many of the containers do: only CI runs them under the Engine's own.
daemon_start() {
  if living "$DIR/dockerd.pid" dockerd >/dev/null && ping_engine; then return 0; fi
  local started=$SECONDS
  rm -f "$DIR/dockerd.pid" "$SOCK"
  # dockerd would take a dead containerd that nobody has reaped yet for a living one, and wait for it in vain.
  living "$DIR/exec/containerd/containerd.pid" containerd >/dev/null || rm -f "$DIR/exec/containerd/containerd.pid"
  local filter=()
  if [ -z "${CI:-}" ]; then
    echo '{"defaultAction": "SCMP_ACT_ALLOW"}' >"$DIR/seccomp.json"
    filter=(--seccomp-profile "$DIR/seccomp.json")
  fi
  setsid dockerd --host "unix://$SOCK" --data-root "$DIR/data" --exec-root "$DIR/exec" --pidfile "$DIR/dockerd.pid" \
    --storage-driver overlay2 "${filter[@]}" --iptables=false --ip6tables=false --bridge=none --userland-proxy=true \
    --default-address-pool "base=$(pool),size=24" >"$DIR/dockerd.log" 2>&1 9>&- </dev/null &
  local pid=$!
  for _ in $(seq 300); do
    if ping_engine; then
      forwarding -I
      say "Docker Engine is up after $((SECONDS - started)) s: $SOCK"
      return 0
    fi
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$DIR/dockerd.log" >&2
  die "dockerd did not start: see above and $DIR/dockerd.log"
}

# Where another Docker made the machine drop what it forwards, containers of one network couldn't reach each other.
forwarding() {
  local rule=(FORWARD -s "$(pool)" -d "$(pool)" -j ACCEPT)
  case $1 in
    -I) [ "$(iptables -S FORWARD 2>/dev/null | head -n 1)" != "-P FORWARD DROP" ] ||
      iptables -C "${rule[@]}" 2>/dev/null || iptables -I "${rule[@]}" ;;
    -D) ! iptables -C "${rule[@]}" 2>/dev/null || iptables -D "${rule[@]}" ;;
  esac
}

# Bridges outlive the daemon, so networks go while it still answers.
daemon_stop() {
  registry_stop
  local pid ids
  # A daemon that was killed leaves its pid, and containers that only a new daemon can end.
  if [ -e "$DIR/dockerd.pid" ] && ! living "$DIR/dockerd.pid" dockerd >/dev/null; then daemon_start; fi
  if pid=$(living "$DIR/dockerd.pid" dockerd); then
    if ping_engine; then
      ids=$(client ps -aq)
      [ -z "$ids" ] || client rm -fv $ids >/dev/null
      client network prune -f >/dev/null
      ids=$(client volume ls -q)
      [ -z "$ids" ] || client volume rm -f $ids >/dev/null
    fi
    ended "$DIR/dockerd.pid" dockerd "$pid"
  fi
  forwarding -D
  unmount
  rm -f "$DIR/dockerd.pid" "$SOCK"
}

# What a killed daemon left mounted below its folder, deepest first.
unmount() {
  awk -v dir="$DIR/" 'index($2, dir) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do
    umount -l "$mount" || say "could not unmount $mount"
  done
}
