//! Before a new version's first start there is a way back: its commands leave what the old one wrote as it is.
//!
//! Invariant: only the start of a gateway changes the schema; a copy has the schema of the database that it was made of.

use portico_tests::Gateway;
use std::path::Path;

/// A database without the newest schema's number is one of the version before, as far as a command sees before it reads on.
const OLDER: &str = "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)";
const SCHEMA: &str = "SELECT MAX(version) FROM _sqlx_migrations";
const AUDIT_ROWS: &str = "SELECT COUNT(*) FROM audit";

async fn open(database: &Path) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    sqlx::ConnectOptions::connect(&options).await.expect("the database")
}

async fn make_older(database: &Path) {
    let mut connection = open(database).await;
    let _ = sqlx::query(OLDER).execute(&mut connection).await.expect("it is altered");
    sqlx::Connection::close(connection).await.expect("it is closed");
}

async fn numbers(database: &Path) -> (i64, i64) {
    let mut connection = open(database).await;
    let schema: i64 = sqlx::query_scalar(SCHEMA).fetch_one(&mut connection).await.expect("a schema");
    let rows: i64 = sqlx::query_scalar(AUDIT_ROWS).fetch_one(&mut connection).await.expect("a number");
    sqlx::Connection::close(connection).await.expect("it is closed");
    (schema, rows)
}

#[tokio::test]
async fn commands_leave_the_schema_of_an_older_version_as_it_is() {
    let mut gateway = Gateway::start().await;
    assert!(gateway.sigterm().await.success());
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (database, copy) = (gateway.data().join("portico.db"), elsewhere.path().join("copy.db"));
    let (newest, _) = numbers(&database).await;
    make_older(&database).await;
    let before = numbers(&database).await;
    assert!(before.0 < newest, "{before:?}, and the newest is {newest}");
    let said = gateway.run(&["backup", copy.to_str().expect("a name")]);
    assert!(said.contains(&format!("schema {}", before.0)), "{said}");
    for command in [
        vec!["audit", "verify"],
        vec!["secrets", "status"],
        vec!["user", "list"],
        vec!["token", "list", "--organization", "demo"],
        vec!["token", "create", "--organization", "demo"],
    ] {
        let said = gateway.refused(&command);
        assert!(said.contains("the schema of an older version") && said.contains("portico backup"), "{command:?}: {said}");
    }
    assert_eq!((numbers(&database).await, numbers(&copy).await), (before, before), "a command changed it, or wrote a row");
}
