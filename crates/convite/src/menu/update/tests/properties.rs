//! Property tests: arbitrary sequences of messages keep the model valid.

use proptest::prelude::*;

use super::*;

fn any_key() -> impl Strategy<Value = Message> {
    let code = prop_oneof![
        4 => prop::char::range(' ', '~').prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        4 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up,
            KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End,
            KeyCode::PageUp, KeyCode::PageDown, KeyCode::Backspace, KeyCode::Delete, KeyCode::F(1),
        ]),
    ];
    let modifiers = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        1 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
    ];
    (code, modifiers).prop_map(|(code, modifiers)| Message::Key(KeyEvent::new(code, modifiers)))
}

fn entry(path: &str) -> IndexEntry {
    IndexEntry {
        peer: "p".parse().unwrap(),
        file: FileEntry::file(path.parse().unwrap(), 1, ContentHash::of(path.as_bytes())),
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let problem = || Problem::new(ErrorCode::Unavailable, "gone");
    let names = prop::collection::vec("[a-z\u{202e}文]{0,30}", 0..40);
    let tickets = 0..8u64;
    let searched = (tickets.clone(), any::<bool>(), names.clone(), any::<bool>()).prop_map(
        move |(ticket, more, names, ok)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Message::SearchResult {
                ticket,
                more,
                answer: if ok {
                    found(&names, names.first().copied())
                } else {
                    Err(problem())
                },
            }
        },
    );
    let peers = (0..40u32).prop_map(|count| {
        let peer = |at: u32| PeerSummary {
            id: format!("p{at}").parse().unwrap(),
            user: "u".parse().unwrap(),
            addresses: Vec::new(),
            files: 0,
            since: 0,
            uploads: false,
            loads: at.is_multiple_of(2),
            sent_rate: 0,
            received_rate: 0,
        };
        Message::Peers(Ok((0..count).map(peer).collect()))
    });
    let loads = prop::collection::vec((0..4usize, any::<u64>(), any::<String>()), 0..9);
    let loads = loads.prop_map(|loads| {
        let loads = loads.into_iter().map(|(state, bytes, name)| LoadSummary {
            state: LoadState::ALL[state],
            bytes,
            name,
            ..load("x")
        });
        Message::RemoteFetches(loads.collect())
    });
    let paths = prop::collection::vec("[a-c](/[a-c]){0,3}", 0..30);
    let files = (tickets, paths, any::<bool>()).prop_map(|(ticket, paths, more)| Message::Files {
        ticket,
        answer: Ok(Page {
            items: paths.iter().map(|path| entry(path)).collect(),
            next_cursor: more.then(|| "c".to_owned()),
        }),
    });
    let progress = (0..8u64, any::<u64>(), any::<u64>()).prop_map(|(id, verified, size)| {
        Message::Progress(
            id,
            DownloadProgress {
                verified,
                size,
                ..DownloadProgress::default()
            },
        )
    });
    let states = prop_oneof![
        Just(done("/x")),
        Just(DownloadState::Stopped),
        Just(DownloadState::Failed(Problem::invalid("x"))),
        Just(DownloadState::Running),
    ];
    let ended = (0..8u64, states).prop_map(|(id, state)| Message::Ended(id, state));
    prop_oneof![
        12 => any_key(),
        2 => searched,
        1 => peers,
        1 => loads,
        1 => files,
        1 => progress,
        1 => ended,
        1 => (0..10_000u64).prop_map(|ms| Message::Tick(Duration::from_millis(ms))),
        1 => any::<String>().prop_map(Message::Pasted),
        1 => prop::collection::vec(any::<String>(), 0..50).prop_map(Message::LogLines),
        1 => any::<u64>().prop_map(|served| Message::Status(Box::new(Status {
            bytes_served: served,
            shares: vec![Default::default(); (served % 5) as usize],
            ..Status::default()
        }))),
        1 => Just(Message::LoggedIn(Ok(AccountInfo::default()))),
        1 => Just(Message::LoggedIn(Err(Problem::invalid("x")))),
        1 => Just(Message::ShareResult(Err(Problem::invalid("x")))),
    ]
}

/// Checks the invariants of the model.
fn check(model: &Model) {
    let within = |at: usize, len: usize| at < len.max(1);
    assert!(within(model.search.chosen.at(), model.search.hits.len()));
    assert!(within(
        model.network.chosen_peer.at(),
        model.network.peers.len()
    ));
    assert!(within(model.network.chosen.at(), model.network.rows.len()));
    assert!(within(
        model.downloads.chosen.at(),
        model.downloads.all.len()
    ));
    assert!(within(model.shares.chosen.at(), model.shares.all.len()));
    assert!(within(model.activity.at(), model.lines.len()));
    assert!(model.downloads.running() <= 4);
    assert!(model.lines.len() <= 2_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_messages_keep_the_model_valid(
        messages in prop::collection::vec(any_message(), 0..120),
        outside in any::<bool>(),
        size in (1..130u16, 1..45u16),
    ) {
        let mut model = Model::new(SavedState::default(), "/d".to_owned());
        if outside {
            show_login(&mut model, true, "ana");
        }
        let backend = ratatui::backend::TestBackend::new(size.0, size.1);
        let mut terminal = ratatui::Terminal::new(backend).unwrap();
        for (at, message) in messages.into_iter().enumerate() {
            update(&mut model, message);
            check(&model);
            if at % 8 == 0 {
                let theme = crate::menu::view::Theme::new(true);
                let draw = |frame: &mut ratatui::Frame| crate::menu::view::draw(frame, &model, theme);
                terminal.draw(draw).unwrap();
            }
        }
    }
}
