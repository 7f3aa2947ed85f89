# A registry on a loopback port, with one small image, so that pulling is tested for real. Sourced by engine.sh.

PLAIN=portico-test/plain:1

# The Engine speaks plain HTTP with registries on 127.0.0.0/8 by itself.
registry() {
  local port key
  port=$(registry_start)
  local image=127.0.0.1:$port/$PLAIN
  if ! curl -sf --max-time 5 "http://127.0.0.1:$port/v2/${PLAIN%:*}/tags/list" >/dev/null; then
    plain_image "$image"
    client push -q "$image" >/dev/null
    client rmi "$image" >/dev/null
  fi
  echo "$image"
}

registry_start() {
  if living "$DIR/registry.pid" docker-registry >/dev/null; then cat "$DIR/registry.port"; return 0; fi
  printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' \
    "$DIR/registry" >"$DIR/registry.yml"
  setsid docker-registry serve "$DIR/registry.yml" >"$DIR/registry.log" 2>&1 9>&- </dev/null &
  local pid=$! port
  echo $pid >"$DIR/registry.pid"
  for _ in $(seq 100); do
    port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$DIR/registry.log" | head -n 1)
    if [ -n "$port" ]; then
      echo "$port" >"$DIR/registry.port"
      say "registry is up on 127.0.0.1:$port"
      echo "$port"
      return 0
    fi
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$DIR/registry.log" >&2
  die "the registry did not start: see above"
}

registry_stop() {
  local pid
  # The kernel keeps 15 characters of a program's name, which is why `docker-registry` just fits.
  ! pid=$(living "$DIR/registry.pid" docker-registry) || ended "$DIR/registry.pid" docker-registry "$pid"
  rm -f "$DIR/registry.pid"
}

# A web server in one static binary, padded with noise so that pulling it takes a moment and has a progress to tell.
plain_image() {
  local root
  root=$CACHE/plain-$(sha256sum "$HERE/registry.sh" | cut -c1-16)
  if [ ! -s "$root.tar" ]; then
    say "making the plain image from Debian's busybox-static"
    rm -rf "$CACHE"/plain* && mkdir -p "$root/root/www" "$root/deb"
    (cd "$root/deb" && { apt-get download -qq busybox-static >/dev/null 2>&1 ||
      { apt-get update -qq && apt-get download -qq busybox-static; } >/dev/null; } && dpkg-deb -x busybox-static_*.deb "$root/deb")
    mkdir -p "$root/root/bin"
    install -m 755 "$(find "$root/deb" -path '*/bin/busybox' -type f)" "$root/root/bin/busybox"
    echo 'a plain page of the test image' >"$root/root/www/index.html"
    head -c 24000000 /dev/urandom >"$root/root/noise"
    tar -C "$root/root" -cf "$root.part" . && mv "$root.part" "$root.tar"
    rm -rf "$root"
  fi
  client import -c 'ENV PATH=/bin' -c 'EXPOSE 80' -c 'CMD ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]' \
    -c 'HEALTHCHECK --interval=1s --timeout=2s CMD ["/bin/busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/"]' \
    "$root.tar" "$1" >/dev/null
}
