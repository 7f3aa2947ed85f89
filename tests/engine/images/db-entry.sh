#!/bin/sh
# MariaDB with the environment contract of the official image: MARIADB_DATABASE, MARIADB_USER, MARIADB_PASSWORD and
# MARIADB_ROOT_PASSWORD count on the first start only. The marker is written last, so that a kill between the installation
# and the bootstrap leads to a new installation, not to a database without its user.
set -eu
D=/var/lib/mysql
MARKER="$D/.initialised"
mkdir -p /run/mysqld
chown mysql:mysql /run/mysqld "$D"
if [ "${1:-mariadbd}" != mariadbd ]; then exec "$@"; fi

# Quotes for a string literal. printf, since dash's echo eats backslashes.
q() { printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g"; }

# `mariadbd --bootstrap` wants one statement a line.
statements() {
  printf '%s\n' "FLUSH PRIVILEGES;"
  [ -z "${MARIADB_DATABASE-}" ] || printf '%s\n' "CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\` CHARACTER SET utf8mb4;"
  [ -z "${MARIADB_ROOT_PASSWORD-}" ] || printf '%s\n' \
    "CREATE USER 'root'@'%' IDENTIFIED BY '$(q "$MARIADB_ROOT_PASSWORD")';" \
    "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
  [ -z "${MARIADB_USER-}" ] || printf '%s\n' \
    "CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$(q "$MARIADB_PASSWORD")';" \
    "GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';"
}

if [ ! -e "$MARKER" ]; then
  find "$D" -mindepth 1 -delete
  mariadb-install-db --user=mysql --datadir="$D" --skip-test-db --auth-root-authentication-method=socket >/dev/null
  statements | mariadbd --bootstrap --user=mysql --datadir="$D" >/dev/null
  touch "$MARKER"
fi
exec mariadbd --user=mysql --datadir="$D" --socket=/run/mysqld/mysqld.sock --bind-address=0.0.0.0 --skip-name-resolve \
  --innodb-buffer-pool-size=32M --performance-schema=OFF
