//! State shared by replicas besides the tables: secrets in a separate table, and notifications by
//! `NOTIFY`.

use async_trait::async_trait;
use convite_core::{PeerAddress, Problem, UnixMillis};
use tokio::sync::broadcast;

use super::connections::Connection;
use super::{PostgresStore, replicas, transaction};
use crate::error::{DbError, DbResult};
use crate::{News, ReplicaId, Shared, Sharing};

impl Sharing for PostgresStore {
    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }
}

async fn secret(db: &Connection, name: &str) -> DbResult<Option<Vec<u8>>> {
    let row = db
        .row("SELECT value FROM secrets WHERE name = $1", &[&name])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

#[async_trait]
impl Shared for PostgresStore {
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        Ok(secret(&self.connections.get().await?, name).await?)
    }

    async fn keep_secret(
        &self,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        let db = self.connections.get().await?;
        // Each is a single statement: only one replica changes the row, and all read the same
        // value.
        match old {
            None => {
                db.execute(
                    "INSERT INTO secrets (name, value) VALUES ($1, $2)
                     ON CONFLICT (name) DO NOTHING",
                    &[&name, &new],
                )
                .await?;
            }
            Some(old) => {
                db.execute(
                    "UPDATE secrets SET value = $3 WHERE name = $1 AND value = $2",
                    &[&name, &old, &new],
                )
                .await?;
            }
        }
        let kept = secret(&db, name).await?;
        Ok(kept.ok_or(DbError::Conflict)?)
    }

    async fn clock(&self) -> Result<UnixMillis, Problem> {
        let db = self.connections.get().await?;
        let row = db
            .one(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT",
                &[],
            )
            .await?;
        Ok(UnixMillis(row.try_get(0).map_err(DbError::from)?))
    }

    async fn renew_replica(
        &self,
        id: ReplicaId,
        addresses: &[PeerAddress],
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<Vec<Vec<PeerAddress>>, Problem> {
        transaction!(self, db => replicas::renew(db, id, addresses, lease, now))
    }

    async fn remove_replica(&self, id: ReplicaId) -> Result<(), Problem> {
        Ok(replicas::remove(&self.connections.get().await?, id).await?)
    }

    fn tell(&self, news: News) {
        self.messenger.tell(news);
    }

    fn listen(&self) -> broadcast::Receiver<News> {
        self.messenger.listen()
    }
}
