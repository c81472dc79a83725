//! Completions, manual pages, colours and `status`.

use std::fs;
use std::process::Command;

use crate::harness::{Home, Pair, finish};

#[test]
fn shells_complete_commands_and_flags() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = home.run(&format!("completions {shell}")).ok().stdout;
        for word in ["unshare", "space", "min-size"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
        fs::write(home.path(shell), script).unwrap();
    }
    home.run("completions tcsh").ends(2);
    assert!(!home.root().exists(), "a home was created");
    // The completions that bash offers.
    let ask = "source ./bash && COMP_WORDS=(convite search --sp) COMP_CWORD=2 && \
               _convite convite --sp search; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ask])
        .current_dir(home.path(""))
        .env("HOME", home.path(""));
    let offered = finish(bash).ok().stdout;
    assert_eq!(offered.trim(), "--space");
}

#[test]
fn every_command_has_a_manual_page() {
    let home = Home::new();
    let main = home.run("man").ok().stdout;
    assert!(main.contains(".TH convite 1"), "{main}");
    home.run("man pages/man1").ok();
    let page = |name: &str| fs::read_to_string(home.path(&format!("pages/man1/{name}.1"))).unwrap();
    assert!(page("convite").contains("convite\\-search(1)"));
    for (name, says) in [
        ("convite-get", "NAME|HASH"),
        ("convite-space-member-add", "SPACE"),
        ("convite-directory", "lease"),
        ("convite-share", "space"),
    ] {
        let page = page(name);
        assert!(page.contains(".TH") && page.contains(says), "{name}");
        assert!(page.contains(".SH \"EXIT STATUS\""), "{name}");
    }
    // The pages must not contain values from the environment.
    let database = "postgres://wanda@example/db";
    let mut command = home.command("man elsewhere");
    command.env("CONVITE_DATABASE", database);
    finish(command).ok();
    for entry in fs::read_dir(home.path("elsewhere")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("wanda") && !text.contains(&*home.root().to_string_lossy()));
    }
}

#[test]
fn colours_are_used_only_on_terminals_or_by_request() {
    let pair = Pair::new();
    let with = |variables: &[(&str, &str)], args: &str| {
        let mut command = pair.ben.command(args);
        command.envs(variables.iter().copied());
        finish(command)
    };
    let plain = with(&[], "status").ok().stdout;
    assert!(
        !plain.contains('\u{1b}') && plain.contains("reachable"),
        "{plain}"
    );
    let coloured = with(&[("CLICOLOR_FORCE", "1")], "status").ok().stdout;
    assert!(
        coloured.contains("\u{1b}[32mreachable\u{1b}[0m"),
        "{coloured}"
    );
    let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert_eq!(with(&both, "status").ok().stdout, plain);
    let json = with(&[("CLICOLOR_FORCE", "1")], "--json status")
        .ok()
        .stdout;
    assert!(!json.contains("\\u001b"), "{json}");
    let error = with(&[("CLICOLOR_FORCE", "1")], "get nothing")
        .ends(3)
        .stderr;
    assert!(error.contains("\u{1b}[1;31merror:\u{1b}[0m"), "{error}");
}

#[test]
fn status_shows_problems_with_hints() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    let peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let said = pair.ana.run("status").ok().stdout;
    for part in [
        "online for",
        "1 file",
        "with everyone",
        "peer_1 at https://",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let object = |home: &Home| home.json("status").ok().objects().remove(0);
    assert_eq!(object(&pair.ana)["reachable"], true);
    assert!(object(&pair.ana)["peer"]["since"].as_i64().unwrap() > 0);
    let Pair {
        directory,
        ana,
        ben,
    } = pair;
    directory.process.kill();
    let alone = ben.run("status").ok().stdout;
    assert!(alone.contains("hint:"), "{alone}");
    assert_eq!(object(&ben)["reachable"], false);
    // The peer has not noticed yet; `status` asks the directory itself.
    assert_eq!(object(&ana)["reachable"], false);
    let said = ana.run("status").ok().stdout;
    assert!(!said.contains("online for"), "{said}");
    drop(peer);
    assert_eq!(object(&ana)["reachable"], false);
}
