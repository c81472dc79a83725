//! Announcements of partial providers.

use crate::PeerKey;
use crate::database::Database;
use crate::error::DbResult;

/// Deletes the announcements of a peer.
pub(crate) async fn delete(db: &mut impl Database, peer: PeerKey) -> DbResult<()> {
    db.execute("DELETE FROM partials WHERE peer = $1", &[&peer])
        .await?;
    Ok(())
}
