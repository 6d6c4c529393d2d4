//! The tables and their versions.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::failure::{Failure, Outcome, store};
use crate::error::Error;

/// Makes the tables, or brings older ones forward, unless all is there. Processes that start
/// together do it once.
pub(super) async fn ensure(client: &Client, schema: &str, migrations: &[&str]) -> Outcome<()> {
    if version(client, schema, migrations.len()).await? == migrations.len() {
        return Ok(());
    }
    client.batch_execute("BEGIN").await?;
    let done = set_up(client, schema, migrations).await;
    client.batch_execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    done
}

async fn set_up(client: &Client, schema: &str, migrations: &[&str]) -> Outcome<()> {
    let key = super::place(&["set up", schema]);
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&key, Type::INT8)]).await?;
    let before = version(client, schema, migrations.len()).await?;
    if before == migrations.len() {
        return Ok(());
    }
    // Asked for first: who may not make schemas may not say this even of one that is there.
    let there = client
        .query_typed("SELECT FROM pg_namespace WHERE nspname = $1", &[(&schema, Type::TEXT)])
        .await?;
    if there.is_empty() {
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    }
    if before == 0 {
        let made = client.batch_execute("CREATE TABLE hoopauth (version int NOT NULL)").await;
        made.and(client.batch_execute("INSERT INTO hoopauth VALUES (0)").await)?;
    }
    for migration in &migrations[before..] {
        client.batch_execute(migration).await.map_err(|error| match error.code() {
            Some(&SqlState::DUPLICATE_TABLE) => Error::config(format!(
                "`store`: the schema `{schema}` holds tables of another program: name another with \
                 `hoopauth_schema`"
            ))
            .into(),
            _ => Failure::from(error),
        })?;
    }
    let now = i32::try_from(migrations.len()).unwrap_or(i32::MAX);
    client.query_typed("UPDATE hoopauth SET version = $1", &[(&now, Type::INT4)]).await?;
    Ok(())
}

/// The version of the tables; 0 if there are none. An error if they are a later release's.
async fn version(client: &Client, schema: &str, known: usize) -> Outcome<usize> {
    // Not by the name's own look-up, which may not have heard yet of what another session made.
    let query = "SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
         WHERE nspname = $1 AND relname = 'hoopauth'";
    if client.query_typed(query, &[(&schema, Type::TEXT)]).await?.is_empty() {
        return Ok(0);
    }
    let row = client.query_typed_one("SELECT max(version) FROM hoopauth", &[]).await?;
    let version: Option<i32> = row.try_get(0)?;
    match usize::try_from(version.unwrap_or(0)) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(store(format!(
            "the store was written by a later release (its schema is {}, this release knows \
             {known}): upgrade hoopauth in every program that shares it",
            version.unwrap_or(0)
        ))
        .into()),
    }
}

/// Each step brings the schema one version forward; a released step never changes.
pub(super) const MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE app (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL UNIQUE,
        sent bytea NOT NULL DEFAULT '',
        turn int8 NOT NULL DEFAULT 0
    );
    CREATE TABLE account (
        app int NOT NULL REFERENCES app,
        name text NOT NULL,
        generation int8 NOT NULL,
        sealed bytea,
        expires_at int8 NOT NULL,
        seen bytea NOT NULL,
        mark bytea,
        marked_at int8,
        back_off_until int8,
        back_off text,
        PRIMARY KEY (app, name)
    );
    CREATE INDEX deadline ON account (app, expires_at) INCLUDE (name,
        back_off_until) WHERE sealed IS NOT NULL;
    CREATE INDEX open_mark ON account (app, name) WHERE mark IS NOT NULL;
    CREATE TABLE claim (
        app int NOT NULL REFERENCES app,
        id bytea NOT NULL,
        until int8 NOT NULL,
        PRIMARY KEY (app, id)
    );
    CREATE INDEX claim_end ON claim (until);
    CREATE TABLE counter (changes int8 NOT NULL);
    INSERT INTO counter VALUES (0);
",
    "
    CREATE TABLE change (
        number int8 PRIMARY KEY,
        app int NOT NULL REFERENCES app,
        name text NOT NULL,
        generation int8 NOT NULL
    );
",
    "
    ALTER TABLE account ADD COLUMN troubled bool NOT NULL DEFAULT false;
    UPDATE account SET troubled = true WHERE back_off LIKE '[true,%';
    DROP INDEX deadline;
    CREATE INDEX deadline ON account (app, expires_at) INCLUDE (name, back_off_until)
        WHERE sealed IS NOT NULL AND NOT troubled;
    CREATE INDEX trouble ON account (app,
        back_off_until) INCLUDE (name) WHERE sealed IS NOT NULL AND troubled;
",
];
