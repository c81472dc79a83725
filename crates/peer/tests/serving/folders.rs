//! Folders over gRPC, with the generated clients.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, FolderTree, FolderTreeBuilder, Manifest};
use convite_wire::status::from_status;
use convite_wire::v1::{AvailabilityRequest, FileChunk, FolderPart, GetFolderRequest};
use tonic::{Status, Streaming};

use super::grpc::{Client, asking, client, collect, with};
use super::{Peer, contents};

/// Creates a folder with small, large, empty and equal files and folders.
async fn filled() -> Peer {
    let peer = Peer::start(8).await;
    for number in 0..300 {
        peer.write(&format!("small/{number:03}"), &contents(number * 7));
    }
    peer.write("small-2/x", b"after small/");
    peer.write("large", &contents(3_000_001));
    for folder in ["one", "two"] {
        peer.write(&format!("equal/{folder}/f"), b"equal");
        peer.write(&format!("equal/{folder}/none"), b"");
    }
    fs::create_dir(peer.file("empty")).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(peer.file("large"));
    file.unwrap().set_modified(old).unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(peer.file("small/005"), mode).unwrap();
    peer.settle("small/005");
    peer.scan().await;
    peer
}

fn hash_of(peer: &Peer, path: &str) -> ContentHash {
    let folder = peer
        .state
        .files
        .catalogue
        .folder_by_path(&path.parse().unwrap());
    folder.unwrap().hash
}

async fn parts(
    client: &mut Client,
    peer: &Peer,
    hash: ContentHash,
) -> Result<Vec<FolderPart>, Status> {
    let request = GetFolderRequest {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
    };
    let reply = client.get_folder(with(request, &peer.ticket())).await?;
    let mut stream = reply.into_inner();
    let mut parts = Vec::new();
    while let Some(part) = stream.message().await? {
        parts.push(part);
    }
    Ok(parts)
}

/// Gets a folder as a downloader does: each manifest is verified.
async fn tree(client: &mut Client, peer: &Peer, hash: ContentHash) -> FolderTree {
    let mut builder = FolderTreeBuilder::new(hash);
    for part in parts(client, peer, hash).await.unwrap() {
        builder.add_part(&part.data, part.last).unwrap();
    }
    builder.finish().unwrap()
}

/// Returns the folder bytes on disk.
fn bytes_of(peer: &Peer, tree: &FolderTree) -> Vec<u8> {
    let files = tree.files(0..tree.file_count());
    files
        .flat_map(|file| fs::read(peer.file(file.path.as_str())).unwrap())
        .collect()
}

async fn download(
    client: &mut Client,
    peer: &Peer,
    hash: ContentHash,
    ranges: &[(u64, u64)],
) -> Result<Vec<(u64, Bytes)>, ErrorCode> {
    let request = with(asking(hash, ranges), &peer.ticket());
    let code = |status: Status| from_status(&status).code;
    let reply: tonic::Response<Streaming<FileChunk>> =
        client.download_file(request).await.map_err(code)?;
    collect(reply.into_inner()).await.map_err(code)
}

#[tokio::test]
async fn manifests_are_sent_with_times_and_bits() {
    let peer = filled().await;
    let mut client = client(&peer).await;
    let hash = hash_of(&peer, "share");
    let sent = parts(&mut client, &peer, hash).await.unwrap();
    // The folder, `empty`, `equal`, `equal/one` (as `equal/two`), `small`, `small-2`.
    assert_eq!(sent.len(), 6);
    assert!(sent.iter().all(|part| part.last));
    let whole = Manifest::decode(&sent[0].data).unwrap();
    assert_eq!(whole.hash(), hash);
    let names: Vec<_> = whole.entries().iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["empty", "equal", "large", "small", "small-2"]);
    assert_eq!(sent[0].modified, [0, 0, 1_000_000_000, 0, 0]);
    let small = &sent[4];
    let manifest = Manifest::decode(&small.data).unwrap();
    assert_eq!(manifest.entries()[5].crc32, crc32fast::hash(&contents(35)));
    assert_eq!(small.executable.len(), 300_usize.div_ceil(8));
    let bits = small.executable.iter().map(|byte| byte.count_ones());
    assert_eq!((bits.sum::<u32>(), small.executable[0]), (1, 1 << 5));

    let tree = tree(&mut client, &peer, hash).await;
    assert_eq!((tree.file_count(), tree.folder_count()), (306, 6));
    // A folder inside a folder is a folder as well.
    let inner = hash_of(&peer, "share/equal/two");
    assert_eq!(parts(&mut client, &peer, inner).await.unwrap().len(), 1);
    assert_eq!(peer.state.status().uploads.len(), 0);
}

#[tokio::test]
async fn any_ranges_of_the_folder_bytes_can_be_read() {
    let peer = filled().await;
    let mut client = client(&peer).await;
    let hash = hash_of(&peer, "share");
    let tree = tree(&mut client, &peer, hash).await;
    let bytes = bytes_of(&peer, &tree);
    let size = bytes.len() as u64;
    assert_eq!(tree.size(), size);
    let large = tree.find(&"large".parse().unwrap()).unwrap();
    let convite_core::folder::FolderItem::File(large) = large else {
        panic!("not a file");
    };
    let large = large.range();
    for ranges in [
        vec![],
        vec![(0, 0)],
        vec![(0, 1), (size - 1, 1), (size, 0)],
        // Around the borders of files, in any order, and twice.
        vec![(large.end - 3, 7), (large.start - 2, 5), (large.end - 3, 7)],
        vec![(large.start, 3_000_001)],
        vec![(4, 2), (9, 1_500_000), (size - 200_000, 0)],
        (0..500).map(|at| (at * 6_000, 3)).collect(),
    ] {
        let got = download(&mut client, &peer, hash, &ranges).await.unwrap();
        let mut wanted = Vec::new();
        let whole = [(0, 0)];
        let asked = if ranges.is_empty() {
            &whole[..]
        } else {
            &ranges
        };
        for &(at, len) in asked {
            let end = if len == 0 { size } else { at + len };
            wanted.extend_from_slice(&bytes[at as usize..end as usize]);
        }
        let mut all = Vec::new();
        for (offset, data) in &got {
            assert_eq!(*data, bytes[*offset as usize..][..data.len()]);
            all.extend_from_slice(data);
        }
        assert!(all == wanted, "{ranges:?}");
        // Small files share chunks.
        assert!(got.len() <= 64 + ranges.len());
    }
    for bad in [(size, 1), (size + 1, 0), (u64::MAX, 2), (0, u64::MAX)] {
        let refused = download(&mut client, &peer, hash, &[bad]).await;
        assert_eq!(refused, Err(ErrorCode::RangeNotSatisfiable), "{bad:?}");
    }
}

#[tokio::test]
async fn changed_files_are_not_sent_as_parts_of_a_folder() {
    let peer = filled().await;
    let mut client = client(&peer).await;
    let hash = hash_of(&peer, "share");
    let folder = tree(&mut client, &peer, hash).await;
    let bytes = bytes_of(&peer, &folder);
    let range_of = |name: &str| {
        let files = folder.files(0..folder.file_count());
        let mut files = files.filter(|file| file.path.as_str() == name);
        let range = files.next().unwrap().range();
        (range.start, range.end - range.start)
    };
    let secret = peer.outside().join("secret");
    fs::write(&secret, contents(280 * 7)).unwrap();
    for name in ["small/100", "small/200", "small/250", "small/280"] {
        let good = download(&mut client, &peer, hash, &[range_of(name)]).await;
        assert!(good.is_ok());
    }
    fs::write(peer.file("small/100"), contents(700)).unwrap();
    fs::remove_file(peer.file("small/200")).unwrap();
    fs::remove_file(peer.file("small/250")).unwrap();
    fs::create_dir(peer.file("small/250")).unwrap();
    fs::remove_file(peer.file("small/280")).unwrap();
    symlink(&secret, peer.file("small/280")).unwrap();
    for name in ["small/100", "small/200", "small/250", "small/280"] {
        let (start, len) = range_of(name);
        let refused = download(&mut client, &peer, hash, &[(start + len - 1, 1)]).await;
        assert_eq!(refused, Err(ErrorCode::ContentChanged), "{name}");
    }
    // What is before and after them is what it was.
    let (start, len) = range_of("small/101");
    let got = download(&mut client, &peer, hash, &[(start, len)])
        .await
        .unwrap();
    assert_eq!(got[0].1, bytes[start as usize..(start + len) as usize]);

    peer.scan().await;
    let refused = download(&mut client, &peer, hash, &[]).await;
    assert_eq!(refused, Err(ErrorCode::ContentChanged));
    let refused = parts(&mut client, &peer, hash).await.unwrap_err();
    assert_eq!(from_status(&refused).code, ErrorCode::ContentChanged);
    let hash = hash_of(&peer, "share");
    let folder = tree(&mut client, &peer, hash).await;
    assert_eq!((folder.file_count(), folder.folder_count()), (303, 7));
    let bytes = bytes_of(&peer, &folder);
    let got = download(&mut client, &peer, hash, &[]).await.unwrap();
    assert!(got.iter().flat_map(|(_, data)| data.to_vec()).eq(bytes));
}

#[tokio::test]
async fn a_touched_file_is_still_a_part_of_its_folder() {
    let peer = filled().await;
    let mut client = client(&peer).await;
    let hash = hash_of(&peer, "share/equal/one");
    assert!(download(&mut client, &peer, hash, &[]).await.is_ok());
    peer.write("equal/one/f", b"equal");
    peer.settle("equal/one/f");
    peer.scan().await;
    assert_eq!(hash_of(&peer, "share/equal/one"), hash);
    let got = download(&mut client, &peer, hash, &[]).await.unwrap();
    assert_eq!(got, [(0, Bytes::from_static(b"equal"))]);
}

#[tokio::test]
async fn folders_are_protected_like_files() {
    let peer = filled().await;
    let mut client = client(&peer).await;
    let hash = hash_of(&peer, "share");
    let absent = ContentHash::of(b"absent");
    let get = |hash: ContentHash, ticket: &str| {
        let hash = Bytes::copy_from_slice(hash.as_bytes());
        with(GetFolderRequest { hash }, ticket)
    };
    for (hash, ticket, code) in [
        (
            hash,
            peer.upload_ticket("ana", &[]),
            ErrorCode::TicketInvalid,
        ),
        (hash, "junk".to_owned(), ErrorCode::TicketInvalid),
        (absent, peer.ticket(), ErrorCode::NotFound),
    ] {
        let refused = client.get_folder(get(hash, &ticket)).await.unwrap_err();
        assert_eq!(from_status(&refused).code, code);
        let refused = client.download_file(with(asking(hash, &[]), &ticket)).await;
        assert_eq!(from_status(&refused.unwrap_err()).code, code);
    }
    // A folder that is no longer shared.
    peer.state
        .files
        .unshare(&peer.file("").canonicalize().unwrap())
        .unwrap();
    let refused = client.get_folder(get(hash, &peer.ticket())).await;
    assert_eq!(from_status(&refused.unwrap_err()).code, ErrorCode::NotFound);
    let refused = download(&mut client, &peer, hash, &[]).await;
    assert_eq!(refused, Err(ErrorCode::NotFound));
}

#[tokio::test]
async fn a_file_with_the_bytes_of_a_manifest_is_not_the_folder() {
    let peer = filled().await;
    let mut client = client(&peer).await;
    let hash = hash_of(&peer, "share/equal/one");
    let manifest = parts(&mut client, &peer, hash).await.unwrap()[0]
        .data
        .clone();
    let copy = peer.write("copy", &manifest);
    peer.scan().await;
    for (hash, wanted) in [(hash, &b"equal"[..]), (copy, &manifest[..])] {
        let got = download(&mut client, &peer, hash, &[]).await.unwrap();
        assert_eq!(got[0].1, wanted);
    }
}

#[tokio::test]
async fn subscriber_of_a_folder_gets_promises_of_its_pieces() {
    let peer = filled().await;
    let mut client = client(&peer).await;
    let hash = hash_of(&peer, "share");
    let request = AvailabilityRequest {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
    };
    let request = with(request, &peer.ticket());
    let mut stream = client.availability(request).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert!(first.whole && first.handed_out.is_empty());

    let folder = tree(&mut client, &peer, hash).await;
    let pieces = convite_core::FolderPieces::new(&folder);
    // `equal` in a pack, three pieces of `large`, and a pack of the rest.
    assert_eq!(pieces.piece_count(), 5);
    let range = pieces.piece_range(1);
    // A whole piece, and parts of those beside it.
    let asked = (range.start - 1, range.end - range.start + 5);
    download(&mut client, &peer, hash, &[asked]).await.unwrap();
    let news = stream.message().await.unwrap().unwrap();
    assert_eq!(news.handed_out, [1]);
    // The stream ends when the folder changes.
    peer.write("small/new", b"new");
    peer.scan().await;
    assert!(stream.message().await.unwrap().is_none());
}
