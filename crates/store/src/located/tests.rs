use super::*;

/// A claim of a size by peers, each given with its account.
fn claim(size: u64, peers: &[(i64, i64)]) -> Claim {
    let holder = |(account, key): &(i64, i64)| Holder {
        key: *key,
        account: *account,
        spaces: vec![0],
        id: format!("peer-{key}").parse().unwrap(),
        addresses: "[]".to_owned(),
    };
    Claim {
        content: 1,
        kind: EntryKind::File,
        size,
        files: 0,
        holders: peers.iter().map(holder).collect(),
    }
}

/// The sizes of ranked claims, with the peers behind each.
fn sizes(claims: Vec<Claim>) -> Vec<(u64, Vec<i64>)> {
    let ranked = ranked(claims, UnixMillis(0)).into_iter();
    let peers = |claim: Claim| claim.holders.iter().map(|holder| holder.key).collect();
    ranked.map(|claim| (claim.size, peers(claim))).collect()
}

/// Two peers of an account can publish two sizes at the same moment, before either is stored.
#[test]
fn an_account_with_two_sizes_has_one_vote() {
    const ANA: i64 = 1;
    const EVE: i64 = 2;
    let claims = vec![
        claim(5, &[(EVE, 20)]),
        claim(8, &[(ANA, 10), (EVE, 21)]),
        claim(9, &[(EVE, 22)]),
    ];
    // Her vote goes to the size that most accounts claim, and her other sizes are left out.
    assert_eq!(sizes(claims), [(8, vec![10, 21])]);
    let alone = vec![claim(9, &[(EVE, 22)]), claim(5, &[(EVE, 20)])];
    assert_eq!(sizes(alone), [(5, vec![20])]);
}

#[test]
fn without_a_kind_the_one_with_most_accounts_is_chosen() {
    let of = |kind, size, peers: &[(i64, i64)]| Claim {
        kind,
        ..claim(size, peers)
    };
    let chosen = |claims| {
        let claims = most_common_kind(claims).into_iter();
        claims
            .map(|claim| (claim.kind, claim.size))
            .collect::<Vec<_>>()
    };
    let (file, folder) = (EntryKind::File, EntryKind::Folder);
    // Two peers of one account are one voice, and so are two sizes.
    let claims = vec![
        of(file, 3, &[(1, 10)]),
        of(folder, 8, &[(2, 20), (2, 21)]),
        of(folder, 9, &[(2, 22)]),
    ];
    assert_eq!(chosen(claims), [(file, 3)]);
    let claims = vec![
        of(file, 3, &[(1, 10)]),
        of(folder, 8, &[(2, 20)]),
        of(folder, 9, &[(3, 30)]),
    ];
    assert_eq!(chosen(claims), [(folder, 8), (folder, 9)]);
}
