# The two test images, from Debian packages and WordPress core: no image registry is needed. Sourced by engine.sh.
# Root file systems are cached as tar archives under a hash of everything that goes into them, so that a later run (or
# another engine) only imports them. Bump STAMP to have them built with newer packages.

STAMP=1
SUITE=bookworm
STUDIO=wp-studio@1.22.0
DB_PACKAGES=mariadb-server-core,mariadb-client
WP_PACKAGES=apache2,libapache2-mod-php,php-mysql,php-gd,php-xml,php-curl,php-mbstring,php-zip,php-intl,mariadb-client,ca-certificates
# Sites of tests live for seconds: documentation and translations only cost time.
SLIM=(--dpkgopt=path-exclude=/usr/share/doc/* --dpkgopt=path-exclude=/usr/share/man/* --dpkgopt=path-exclude=/usr/share/locale/*
  --dpkgopt=path-exclude=/usr/share/info/* --dpkgopt=force-unsafe-io)
ENV_PATH='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

images() {
  local key started=$SECONDS
  key=$(cat "$HERE/images.sh" "$HERE"/images/* | sha256sum | cut -c1-16)
  local db=mariadb wp=wordpress todo=()
  has_image $db "$key" || todo+=($db)
  has_image $wp "$key" || todo+=($wp)
  [ ${#todo[@]} -gt 0 ] || return 0
  (
    flock 8
    local name pids=() failed=
    for name in "${todo[@]}"; do
      (build_"$name" "$key" && import_"$name" "$key") 8>&- 9>&- &
      pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    [ -z "$failed" ] || die "building the test images failed: see above and $CACHE/*.log"
  ) 8>"$CACHE/images.lock"
  say "test images are ready after $((SECONDS - started)) s"
}

has_image() { [ "$(client image inspect -f '{{index .Config.Labels "portico-test.key"}}' "portico-test/$1:1" 2>/dev/null)" = "$2" ]; }

# bootstrap NAME KEY PACKAGES [mmdebstrap options]: the archive appears under its name only when it is whole.
bootstrap() {
  local name=$1 key=$2 packages=$3 started=$SECONDS
  shift 3
  local tar=$CACHE/$name-$key.tar
  [ ! -s "$tar" ] || return 0
  say "building the $name image from Debian $SUITE packages"
  rm -f "$CACHE/$name"-*.tar
  # Thrice: packages come over a network.
  local attempt
  for attempt in 1 2 3; do
    mmdebstrap --mode=root --variant=minbase --aptopt='Acquire::Retries "3"' "${SLIM[@]}" --include="$packages" "$@" "$SUITE" \
      "$tar.part.tar" >"$CACHE/$name.log" 2>&1 && break
    say "building the $name image failed ($attempt of 3); the end of its log, and the room on the disk:"
    { tail -n 20 "$CACHE/$name.log"; df -h "$CACHE" "${TMPDIR:-/tmp}"; } >&2
    [ "$attempt" -lt 3 ] || return 1
    sleep $((attempt * 5))
  done
  mv "$tar.part.tar" "$tar"
  say "built the $name image in $((SECONDS - started)) s"
}

build_mariadb() {
  bootstrap mariadb "$1" $DB_PACKAGES \
    --customize-hook='chroot "$1" sh -c "getent group mysql >/dev/null || groupadd -g 999 -r mysql; id mysql >/dev/null 2>&1 || useradd -r -g mysql -u 999 -d /var/lib/mysql mysql"' \
    --customize-hook='rm -rf "$1/var/lib/mysql" && mkdir -p "$1/var/lib/mysql" && chroot "$1" chown mysql:mysql /var/lib/mysql' \
    --customize-hook="copy-in '$HERE/images/db-entry.sh' /usr/local/bin" \
    --customize-hook='chmod 755 "$1/usr/local/bin/db-entry.sh"'
}

import_mariadb() {
  import mariadb "$1" -c 'VOLUME /var/lib/mysql' -c 'EXPOSE 3306' -c 'ENTRYPOINT ["/usr/local/bin/db-entry.sh"]' -c 'CMD ["mariadbd"]'
}

build_wordpress() {
  local core=$CACHE/core-${STUDIO##*@}
  [ -s "$CACHE/wordpress-$1.tar" ] || fetch_core "$core" || return 1
  bootstrap wordpress "$1" $WP_PACKAGES \
    --customize-hook="mkdir -p \"\$1/usr/src/wordpress\" && cp -a '$core/latest/wordpress/.' \"\$1/usr/src/wordpress/\"" \
    --customize-hook="copy-in '$HERE/images/wp-config-docker.php' /usr/src" \
    --customize-hook="copy-in '$HERE/images/wp-entry.sh' /usr/local/bin" \
    --customize-hook="copy-in '$HERE/images/wp-apache.conf' /etc/apache2/conf-enabled" \
    --customize-hook="cp '$core/wp-cli/wp-cli.phar' \"\$1/usr/local/bin/wp\"" \
    --customize-hook='chmod 755 "$1/usr/local/bin/wp" "$1/usr/local/bin/wp-entry.sh"' \
    --customize-hook='chroot "$1" sh -c "a2enmod rewrite && chown -R www-data:www-data /usr/src/wordpress && rm -f /var/www/html/index.html && chown www-data:www-data /var/www/html"'
}

import_wordpress() {
  import wordpress "$1" -c 'VOLUME /var/www/html' -c 'WORKDIR /var/www/html' -c 'EXPOSE 80' \
    -c 'ENTRYPOINT ["/usr/local/bin/wp-entry.sh"]' -c 'CMD ["apache2"]'
}

# import NAME KEY [changes]
import() {
  local name=$1 key=$2
  shift 2
  client import -c "$ENV_PATH" -c "LABEL portico-test.key=$key" "$@" "$CACHE/$name-$key.tar" "portico-test/$name:1" >/dev/null
}

# WordPress core and wp-cli come in an npm package; Debian has no wp-cli.
fetch_core() {
  local core=$1
  [ ! -d "$core" ] || return 0
  say "fetching WordPress core and wp-cli ($STUDIO)"
  local attempt
  for attempt in 1 2 3; do
    rm -rf "$core" "$core.part" && mkdir -p "$core.part" || return 1
    (cd "$core.part" && npm pack --loglevel=error "$STUDIO" >/dev/null &&
      tar -xzf wp-studio-*.tgz --strip-components=4 package/dist/cli/wp-files/latest/wordpress package/dist/cli/wp-files/wp-cli/wp-cli.phar) &&
      break
    say "fetching $STUDIO failed ($attempt of 3)"
    [ "$attempt" -lt 3 ] || return 1
    sleep $((attempt * 5))
  done
  rm -f "$core.part"/wp-studio-*.tgz
  mv "$core.part" "$core"
}
