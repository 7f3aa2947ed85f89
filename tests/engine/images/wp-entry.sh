#!/bin/sh
# WordPress under Apache with the environment contract of the official image. The volume at /var/www/html is filled on the
# first start; version.php is copied last, so that a kill in between leads to another copy.
set -e
cd /var/www/html
if [ ! -e wp-includes/version.php ]; then
  tar -C /usr/src/wordpress --exclude=./wp-includes/version.php -cf - . | tar -xf -
  cp -a /usr/src/wordpress/wp-includes/version.php wp-includes/.version.php
  mv wp-includes/.version.php wp-includes/version.php
fi
if [ ! -s wp-config.php ]; then
  php -r '$s=file_get_contents("/usr/src/wp-config-docker.php"); echo preg_replace_callback("/@SALT@/", fn()=>base64_encode(random_bytes(36)), $s);' > .wp-config.php
  chown www-data:www-data .wp-config.php
  chmod 640 .wp-config.php
  mv .wp-config.php wp-config.php
fi
[ "${1:-apache2}" = apache2 ] || exec "$@"
# Fails under `set -u`.
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
rm -f "$APACHE_PID_FILE"
exec apache2 -DFOREGROUND
