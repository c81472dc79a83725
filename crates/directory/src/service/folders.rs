//! Listing the entries of a folder.

use convite_core::model::{FolderEntry, Page};
use convite_core::{ContentHash, EntryKind, Problem, SearchScope};

use super::paging::list_limit;
use super::{Caller, Service};

impl Service {
    /// Returns the entries of a folder that the caller may see, one level, by name; `limit` is 1 to
    /// 1,000 (default 100). They are what one of its providers publishes below it at present, and
    /// are not verified.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer shares the folder, or the caller may not see it, with
    /// the same text; `invalid_argument` if the hash is that of a file, and for an invalid limit or
    /// cursor; `permission_denied` for a space that the caller does not belong to.
    pub async fn list_folder(
        &self,
        caller: &Caller,
        hash: &ContentHash,
        within: &SearchScope,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<FolderEntry>, Problem> {
        let (limit, now) = (list_limit(limit)?, self.now());
        let viewer = self.restrict_viewer(&caller.viewer, within).await?;
        match self
            .store()
            .folder(&viewer, hash, limit, cursor, now)
            .await?
        {
            Some(page) => Ok(page),
            None => {
                let kind = Some(EntryKind::Folder);
                Err(self.not_located(&viewer, hash, kind).await?)
            }
        }
    }
}
