//! Lookup of files and folders by an exact name or path.

use std::cmp::Reverse;
use std::collections::HashMap;

use convite_core::model::{HitPeer, SearchHit};
use convite_core::path::PATH_MAX;
use convite_core::{ContentHash, EntryKind, PeerId, Problem, SafePath};
use convite_store::{ContentKey, ContentSummary, Viewer};
use unicode_normalization::UnicodeNormalization;

use super::{Caller, Service};

/// The files and folders found.
#[derive(Debug, Clone)]
pub struct NameMatches {
    /// One hit per content, most providers first.
    pub hits: Vec<SearchHit>,
    /// Whether there are more.
    pub more: bool,
}

impl Service {
    /// Returns the contents that online peers share under exactly this name, or under a path that
    /// is `name` or ends with `/` and `name`, as far as the caller may see them; with `peer`, only
    /// that peer's files with exactly this path. An exact path precedes the end of a path. If
    /// nothing has the name as given, its two Unicode normal forms (NFC, NFD) are tried, because
    /// systems differ in how they encode accents.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the name is too long; fails if the database fails.
    pub async fn find_by_name(
        &self,
        caller: &Caller,
        name: &str,
        peer: Option<&PeerId>,
    ) -> Result<NameMatches, Problem> {
        if name.len() > PATH_MAX {
            return Err(Problem::invalid(format!(
                "the name has {} bytes; the maximum is {PATH_MAX}",
                name.len()
            ))
            .hint("use only the last parts of the path"));
        }
        let (composed, decomposed) = (name.nfc().collect(), name.nfd().collect());
        let mut forms: Vec<String> = vec![name.to_owned(), composed, decomposed];
        forms.dedup();
        for form in forms {
            // No file has an invalid path.
            if form.parse::<SafePath>().is_err() {
                continue;
            }
            let found = self.find_one_form(caller, &form, peer).await?;
            if !found.hits.is_empty() {
                return Ok(found);
            }
        }
        Ok(NameMatches {
            hits: Vec::new(),
            more: false,
        })
    }

    async fn find_one_form(
        &self,
        caller: &Caller,
        name: &str,
        peer: Option<&PeerId>,
    ) -> Result<NameMatches, Problem> {
        let (store, now) = (self.store(), self.now());
        let named = store.named(&caller.viewer, name, peer, now).await?;
        let contents = named.contents.into_iter();
        let mut paths: HashMap<ContentKey, String> = contents.map(|c| (c.key, c.path)).collect();
        let keys: Vec<ContentKey> = paths.keys().copied().collect();
        let summaries = store.summaries(&caller.viewer, &keys, now).await?;
        let mut hits: Vec<SearchHit> = summaries
            .into_iter()
            .map(|summary| {
                let path = paths.remove(&summary.key).unwrap_or_default();
                hit(summary, &path)
            })
            .collect();
        hits.sort_by(|a, b| {
            (Reverse(a.providers), &a.folder, a.hash).cmp(&(
                Reverse(b.providers),
                &b.folder,
                b.hash,
            ))
        });
        Ok(NameMatches {
            hits,
            more: named.more,
        })
    }

    /// Returns whether a file visible to `viewer` is shared under a name.
    pub(super) async fn has_name(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        name: &str,
    ) -> Result<bool, Problem> {
        if name.contains('/') || name.parse::<SafePath>().is_err() {
            return Ok(false);
        }
        let (store, now) = (self.store(), self.now());
        let named = store.named(viewer, name, None, now).await?;
        let keys: Vec<ContentKey> = named.contents.iter().map(|content| content.key).collect();
        let summaries = store.summaries(viewer, &keys, now).await?;
        let wanted = (*hash, EntryKind::File);
        let mut found = summaries.iter().map(|one| (one.hash, one.kind));
        Ok(found.any(|one| one == wanted))
    }
}

fn hit(summary: ContentSummary, path: &str) -> SearchHit {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let length = u32::try_from(name.chars().count()).unwrap_or(u32::MAX);
    let peers = summary.peers.into_iter();
    SearchHit {
        hash: summary.hash,
        kind: summary.kind,
        name: name.to_owned(),
        matches: vec![[0, length]],
        names: summary.names,
        folder: folder.to_owned(),
        size: summary.size,
        files: summary.kind.files(summary.files),
        spaces: summary.spaces,
        providers: summary.providers,
        peers: peers
            .map(|(id, addresses)| HitPeer { id, addresses })
            .collect(),
        score: 1.0,
    }
}
