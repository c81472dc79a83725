//! Searching files and folders, and locating their providers.

use convite_core::model::{FolderEntry, LocatedFile, Page};
use convite_core::{ContentHash, EntryKind, PeerId, Problem, SearchQuery, SearchScope};
use convite_wire::convert;
use convite_wire::status::from_status;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::answers::{Found, Named};
use crate::convert::{all, odd_answer};
use crate::directory::DirectoryClient;

impl DirectoryClient {
    /// Returns a page of search results.
    ///
    /// # Errors
    /// Returns the errors common to all calls.
    pub async fn search(&self, query: SearchQuery) -> Result<Found, Problem> {
        let message = v1::SearchFileRequest {
            query: query.texts,
            r#type: text_of(query.file_type),
            newer: text_of(query.newer),
            older: text_of(query.older),
            sort: query.sort.name().to_owned(),
            order: query.order.name().to_owned(),
            min_size: query.min_size,
            max_size: query.max_size,
            peer: text_of(query.peer),
            space: text_of(query.space),
            limit: query.limit.unwrap_or_default(),
            cursor: query.cursor.unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.search_file(request).await };
        let reply = self.call(message, call).await?;
        Ok(Found {
            items: all(reply.results)?,
            next_cursor: convert::some_text(reply.next_cursor),
            indexing: reply.indexing,
        })
    }

    /// Returns the files and folders with exactly this name or path. With `peer`, `name` is the exact path at
    /// that peer.
    ///
    /// # Errors
    /// Returns the errors common to all calls.
    pub async fn find_by_name(&self, name: &str, peer: Option<&PeerId>) -> Result<Named, Problem> {
        let message = v1::FindByNameRequest {
            name: name.to_owned(),
            peer: peer.map(ToString::to_string).unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.find_by_name(request).await };
        let reply = self.call(message, call).await?;
        Ok(Named {
            items: all(reply.results)?,
            more: reply.more,
        })
    }

    /// Returns the providers of a file or folder, with tickets. Without a kind, it is the kind that
    /// most accounts claim for this hash.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer has it, and `invalid_argument` if the hash is that of
    /// the other kind.
    pub async fn locate(
        &self,
        hash: &ContentHash,
        kind: Option<EntryKind>,
    ) -> Result<LocatedFile, Problem> {
        self.locate_within(hash, kind, &SearchScope::Visible).await
    }

    /// Returns the providers of a file or folder in a search scope, with tickets.
    ///
    /// # Errors
    /// Returns the errors of [`Self::locate`], and `permission_denied` if the account is not a
    /// member of the space.
    pub async fn locate_within(
        &self,
        hash: &ContentHash,
        kind: Option<EntryKind>,
        within: &SearchScope,
    ) -> Result<LocatedFile, Problem> {
        let message = v1::LocateRequest {
            hash: convert::hash_bytes(hash),
            space: within.as_wire().map(str::to_owned),
            kind: kind.map(convert::kind_number),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.locate(request).await };
        let reply = self.call(message, call).await?;
        reply.try_into().map_err(odd_answer)
    }

    /// Returns the providers of many files and folders in a search scope, with tickets, in the order of
    /// `hashes`; `None` for a hash that is not found. Without a kind, it is the kind that most accounts
    /// claim for each hash.
    ///
    /// # Errors
    /// Returns `invalid_argument` unless there are 1 to 1,000 hashes, and `permission_denied` if the
    /// account is not a member of the space.
    pub async fn locate_many(
        &self,
        hashes: &[ContentHash],
        kind: Option<EntryKind>,
        within: &SearchScope,
    ) -> Result<Vec<Option<LocatedFile>>, Problem> {
        let message = v1::LocateManyRequest {
            hashes: hashes.iter().map(convert::hash_bytes).collect(),
            space: within.as_wire().map(str::to_owned),
            kind: kind.map(convert::kind_number),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.locate_many(request).await };
        let mut replies = self.call(message, call).await?;
        let mut located = Vec::with_capacity(hashes.len());
        while let Some(reply) = replies.message().await.map_err(|s| from_status(&s))? {
            let is_next = hashes
                .get(located.len())
                .is_some_and(|hash| *hash.as_bytes() == *reply.hash);
            if !is_next {
                return Err(odd_answer(Problem::invalid("a reply for another hash")));
            }
            let file = reply.located.map(LocatedFile::try_from).transpose();
            located.push(file.map_err(odd_answer)?);
        }
        if located.len() < hashes.len() {
            return Err(odd_answer(Problem::invalid("a reply is missing")));
        }
        Ok(located)
    }

    /// Returns a page of the entries of a folder, one level, by name, as one of its providers
    /// publishes them. They are not verified.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer shares the folder, `invalid_argument` if the hash is
    /// that of a file, and `permission_denied` if the account is not a member of the space.
    pub async fn list_folder(
        &self,
        hash: &ContentHash,
        within: &SearchScope,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<FolderEntry>, Problem> {
        let message = v1::ListFolderRequest {
            hash: convert::hash_bytes(hash),
            space: within.as_wire().map(str::to_owned),
            limit,
            cursor: cursor.unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.list_folder(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.entries)?,
            next_cursor: convert::some_text(reply.next_cursor),
        })
    }
}

/// Returns the protocol form of an optional value: an absent one is empty.
fn text_of(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
