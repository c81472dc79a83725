//! Correction of times that were recorded while the clock was wrong.

use convite_core::UnixMillis;

use super::audit;
use crate::AUDIT_KEPT;
use crate::database::Database;
use crate::error::DbResult;
use crate::loads::{LOAD_KEPT, LOAD_PATIENCE};
use crate::upkeep::REMEMBERED;

/// Corrects times that were recorded while the clock was ahead: leases and reports more than a day
/// in the future end now.
pub(super) async fn correct_future(db: &mut impl Database, now: UnixMillis) -> DbResult<()> {
    let ahead = now.0.saturating_add(REMEMBERED);
    for sql in [
        "UPDATE peers SET lease = $1 WHERE lease > $2",
        "UPDATE loads SET touched = $1 WHERE touched > $2",
    ] {
        db.execute(sql, &[&now, &ahead]).await?;
    }
    db.correct_own_times(now, ahead).await
}

/// Corrects times that were recorded while the clock was behind: what was created then is treated
/// as created now, with its lifetime.
///
/// `swept` is the time of the last sweep. It deleted what had expired by then, so a row that had
/// expired by then was recorded later, with a wrong time.
pub(super) async fn correct_past(
    db: &mut impl Database,
    swept: UnixMillis,
    now: UnixMillis,
) -> DbResult<()> {
    for (sql, kept) in [
        (
            "UPDATE sessions SET expires = $1 + (expires - used), used = $1 WHERE expires <= $2",
            REMEMBERED,
        ),
        (
            "UPDATE invites SET expires = $1 + (expires - created), created = $1
             WHERE expires <= $2",
            REMEMBERED,
        ),
        (
            "UPDATE links SET expires = $1 + (expires - created), created = $1
             WHERE expires <= $2",
            0,
        ),
        (
            "UPDATE loads SET touched = $1
             WHERE touched <= $2 AND state IN ('waiting', 'running')",
            LOAD_PATIENCE,
        ),
        (
            "UPDATE loads SET touched = $1 WHERE touched <= $2 AND state IN ('done', 'failed')",
            LOAD_KEPT,
        ),
    ] {
        let expired = swept.0.saturating_sub(kept);
        db.execute(sql, &[&now, &expired]).await?;
    }
    audit::renew_old(db, swept.0.saturating_sub(AUDIT_KEPT), now).await
}
