//! Tests of typed input: the login form, search words, keys, folders, confirmations.

use super::*;

const LINK: &str = "convite://192.0.2.7:1/abc?ca=\
                    00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn the_login_form_takes_link_name_and_password() {
    let mut model = Model::new(SavedState::default(), "/d".to_owned());
    show_login(&mut model, true, "ana");
    // An invalid link is reported in its field.
    typed(&mut model, "convite://x");
    assert!(press(&mut model, KeyCode::Tab).is_empty());
    let login = model.login.as_ref().unwrap();
    assert_eq!(login.field, Field::Link);
    let hint = login.problem.as_ref().unwrap().hint.as_deref();
    assert!(!hint.unwrap().contains("quotes"), "the menu is not a shell");
    update(&mut model, control('u'));
    let quoted = format!("'{LINK}'");
    update(&mut model, Message::Pasted(format!(" '{LINK}' \n")));
    assert!(
        press(&mut model, KeyCode::Enter).is_empty(),
        "no password yet"
    );
    typed(&mut model, "q1?/");
    let effects = press(&mut model, KeyCode::Enter);
    let [
        Effect::Login {
            link,
            user,
            password,
        },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(
        (link.as_deref(), user.as_str(), password.0.as_str()),
        (Some(&*quoted), "ana", "q1?/")
    );
    assert!(!format!("{effects:?} {model:?}").contains("q1?/"));
    assert!(
        press(&mut model, KeyCode::Enter).is_empty(),
        "already requested"
    );
    let taken = Problem::new(ErrorCode::UserTaken, "taken");
    update(&mut model, Message::LoggedIn(Err(taken)));
    assert_eq!(model.login.as_ref().unwrap().field, Field::User);
    update(&mut model, Message::LoggedIn(Ok(AccountInfo::default())));
    assert!(model.login.is_none());
}

#[test]
fn a_link_is_found_in_pasted_text() {
    let (first, second) = LINK.split_at(50);
    for text in [
        format!("convite join '{LINK}' --user ana."),
        format!("\u{201c}{LINK}\u{201d},"),
        format!("Hi, use this:\n> {first}\n> {second}\n> Ana"),
        LINK.replace("convite", "CONVITE").replace('?', "%3F"),
    ] {
        let mut model = Model::new(SavedState::default(), "/d".to_owned());
        show_login(&mut model, true, "ana");
        update(&mut model, Message::Pasted(text.clone()));
        press(&mut model, KeyCode::Tab);
        let login = model.login.as_ref().unwrap();
        assert!(login.problem.is_none(), "{text}");
        assert_ne!(login.field, Field::Link, "{text}");
    }
}

#[test]
fn letters_are_text_in_text_fields() {
    let mut model = ready();
    typed(&mut model, "q1jk/");
    assert_eq!(model.search.words.text(), "q1jk/");
    assert_eq!(model.screen, Screen::Search);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('4'));
    assert_eq!(model.screen, Screen::Shares);
    press(&mut model, KeyCode::Char('a'));
    typed(&mut model, "/q?1");
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        [Effect::Share("/q?1".to_owned())]
    );
    // The dialog stays open until the folder is shared; after an error the path can be corrected.
    assert_eq!(press(&mut model, KeyCode::Enter), [], "already requested");
    let refused = Problem::not_found("there is no /q?1");
    update(&mut model, Message::ShareResult(Err(refused)));
    assert!(matches!(&model.dialog, Some(Dialog::Share(share)) if share.problem.is_some()));
    press(&mut model, KeyCode::Backspace);
    let again = press(&mut model, KeyCode::Enter);
    assert_eq!(again, [Effect::Share("/q?".to_owned())]);
    update(
        &mut model,
        Message::ShareResult(Ok("sharing /q? as q".to_owned())),
    );
    assert!(model.dialog.is_none());
}

#[test]
fn alt_and_a_digit_switch_screens_while_typing() {
    let mut model = ready();
    let key = KeyEvent::new(KeyCode::Char('3'), KeyModifiers::ALT);
    update(&mut model, Message::Key(key));
    assert_eq!(model.screen, Screen::Transfers);
    assert!(model.search.words.is_empty());
}

#[test]
fn a_failed_target_folder_is_not_remembered() {
    let mut model = with_hits(&["one"]);
    model.paths.here = "/srv".into();
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    update(&mut model, control('u'));
    typed(&mut model, "out");
    let effects = press(&mut model, KeyCode::Enter);
    let folder = effects.iter().find_map(|effect| match effect {
        Effect::Get { folder, .. } => Some(folder.as_str()),
        _ => None,
    });
    assert_eq!(folder, Some("/srv/out"));
    let failed = DownloadState::Failed(Problem::new(ErrorCode::Internal, "cannot make /srv/out"));
    let effects = update(&mut model, Message::Ended(0, failed));
    let [Effect::Save(saved)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(saved.folder.as_deref(), Some("/downloads"));
    assert_eq!(saved.unfinished[0].folder, "/srv/out");
    // The same transfer gets another folder.
    press(&mut model, KeyCode::Char('3'));
    assert_eq!(press(&mut model, KeyCode::Char('r')), []);
    assert!(matches!(&model.dialog, Some(Dialog::Get(get)) if get.folder.text() == "/srv/out"));
    typed(&mut model, "2");
    assert_eq!(gets(&press(&mut model, KeyCode::Enter)), [0]);
    update(&mut model, Message::Ended(0, done("/srv/out2/one")));
    assert_eq!(model.folder, "/srv/out2");
}

#[test]
fn the_directory_counts_as_unreachable_until_it_answers() {
    let mut model = with_hits(&["one"]);
    let silent = Problem::new(ErrorCode::Unavailable, "the directory does not answer");
    update(&mut model, Message::Peers(Err(silent)));
    assert!(model.is_directory_unreachable());
    update(&mut model, Message::Peers(Ok(Vec::new())));
    assert!(!model.is_directory_unreachable());
}

#[test]
fn unsharing_needs_confirmation() {
    let mut model = ready();
    let share = |folder: &str| ShareStatus {
        folder: folder.to_owned(),
        ..ShareStatus::default()
    };
    let status = Status {
        shares: vec![share("/a"), share("/b")],
        ..Status::default()
    };
    update(&mut model, Message::Status(Box::new(status)));
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('4'));
    press(&mut model, KeyCode::Down);
    // "Keep" is preselected.
    press(&mut model, KeyCode::Char('x'));
    assert!(matches!(model.dialog, Some(Dialog::Confirm(_))));
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert!(model.dialog.is_none());
    press(&mut model, KeyCode::Delete);
    press(&mut model, KeyCode::Left);
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        [Effect::Unshare("/b".to_owned())]
    );
    press(&mut model, KeyCode::Char('x'));
    assert_eq!(press(&mut model, KeyCode::Esc), []);
    assert!(model.dialog.is_none());
}
