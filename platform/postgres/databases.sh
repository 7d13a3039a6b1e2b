#!/bin/bash
# Makes one database and one role for each service, and the role that reads the server's numbers.
#
# The image runs it once, when the volume is empty. It may be run again, to change passwords or to
# add a service:
#   docker compose exec -e DATABASES=orders postgres bash /docker-entrypoint-initdb.d/databases.sh
set -euo pipefail

sql() {
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname="$1"
}

# Read by psql itself, so that no password is ever an argument of a command. It stands in the
# statement, which is therefore logged neither when it is slow nor when it fails.
make_role() {
    PGOPTIONS="-c log_min_duration_statement=-1 -c log_min_error_statement=panic" \
        sql postgres <<SQL
\set password \`cat /run/secrets/$2\`
SELECT 'CREATE ROLE $1 LOGIN'
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$1') \gexec
ALTER ROLE $1 PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
SQL
}

# Everybody may connect to a new database unless that is taken away. What is in it belongs to the
# role: nobody else, not even by way of the schema public, can make something in it.
make_database() {
    sql postgres <<SQL
SELECT 'CREATE DATABASE $1 OWNER $1'
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$1') \gexec
REVOKE ALL ON DATABASE $1 FROM PUBLIC;
GRANT CONNECT ON DATABASE $1 TO postgres_exporter;
SQL
    sql "$1" <<SQL
ALTER SCHEMA public OWNER TO $1;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
}

# authentik's containers take turns to migrate: who does holds a lock, on a connection that is idle
# in a transaction until all is done. Without the connection two would migrate at once. And where
# others send values apart from their statements, it writes them into these, with the keys of
# sessions and tokens: so no statement of its own is logged.
suit_authentik() {
    sql postgres <<'SQL'
ALTER ROLE authentik SET idle_in_transaction_session_timeout = 0;
ALTER ROLE authentik SET log_min_duration_statement = -1;
ALTER ROLE authentik SET log_min_error_statement = panic;
SQL
}

make_role postgres_exporter postgres-exporter-password
sql postgres <<'SQL'
GRANT pg_monitor TO postgres_exporter;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO postgres_exporter;
SQL
for name in ${DATABASES:-items activity authentik}; do
    make_role "$name" "$name-db-password"
    make_database "$name"
    [ "$name" != authentik ] || suit_authentik
done
