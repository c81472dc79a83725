//! The texts of the page: equal keys in each language, and no unused key.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Web;
use crate::browser::Browser;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../directory/web/js")
}

fn sentences(language: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join(format!("lang/{language}.js"))).unwrap();
    let pairs = text
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once(": \""));
    pairs
        .map(|(key, rest)| (key.to_owned(), rest.trim_end_matches("\",").to_owned()))
        .collect()
}

/// Returns the placeholders of a text: `{name}`.
fn gaps(sentence: &str) -> Vec<&str> {
    let parts = sentence.split('{').skip(1);
    let mut gaps: Vec<_> = parts.filter_map(|part| part.split('}').next()).collect();
    gaps.sort_unstable();
    gaps
}

fn scripts(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("lang") {
            all += &scripts(&path);
        } else if path.extension().is_some_and(|ending| ending == "js") {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

#[test]
fn both_languages_have_the_same_texts() {
    let (english, spanish) = (sentences("en"), sentences("es"));
    assert!(english.len() > 100, "the texts were not found");
    assert!(english.keys().eq(spanish.keys()));
    for (key, sentence) in &english {
        assert_eq!(gaps(sentence), gaps(&spanish[key]), "{key}");
        assert!(!spanish[key].is_empty(), "{key}");
    }
}

#[test]
fn every_text_is_used_and_every_used_text_exists() {
    let scripts = scripts(&folder());
    let english = sentences("en");
    // Keys with a computed suffix, such as `t(`act_${…}`)`; `many` adds the plural suffix.
    let families: Vec<&str> = scripts
        .split("(`")
        .skip(1)
        .filter_map(|rest| rest.split("${").next())
        .filter(|start| start.ends_with('_') && start.len() < 12)
        .collect();
    assert!(families.contains(&"act_"), "{families:?}");
    for key in english.keys() {
        let stem = key.strip_suffix("_one").or(key.strip_suffix("_many"));
        let is_named = |key: &str| scripts.contains(&format!("\"{key}\""));
        let in_family = families.iter().any(|family| key.starts_with(family));
        assert!(
            in_family || is_named(key) || stem.is_some_and(is_named),
            "unused text '{key}'"
        );
    }
    for (call, ending) in [("t(\"", ""), ("many(\"", "_one")] {
        for (at, _) in scripts.match_indices(call) {
            // `get("…")` ends in the same letters.
            let is_other = scripts[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let key = scripts[at + call.len()..].split('"').next().unwrap();
            let is_there = english.contains_key(&format!("{key}{ending}"));
            assert!(is_other || is_there, "no text '{key}'");
        }
    }
    for code in convite_core::ErrorCode::ALL {
        let key = format!("problem_{}", code.name());
        assert!(english.contains_key(&key), "no text '{key}'");
    }
    for act in convite_core::administration::AuditAction::ALL {
        let key = format!("act_{}", act.name());
        assert!(english.contains_key(&key), "no text '{key}'");
    }
}

#[test]
fn the_language_follows_the_browser_and_can_be_changed() {
    let phone = || Browser::open(360, 780, "es", true);
    let Some(web) = Web::open(phone, |ana| {
        ana.write(&format!("docs/{}.txt", "lake-".repeat(40)), b"a");
    }) else {
        return;
    };
    let browser = &web.browser;
    browser.go(&web.address("/"));
    browser.type_into("#user", "ana");
    browser.type_into("#password", "not the password");
    browser.click("form button");
    // The page translates the directory's English message.
    web.wait_for("[role=alert]", "incorrectos");
    browser.assert_console_clean_except(&["/login"]);
    web.sign_in("ana");
    assert_eq!(browser.run("return document.documentElement.lang"), "es");
    assert_eq!(
        browser.run("return document.documentElement.dataset.theme"),
        "dark"
    );
    browser.type_into("#q", "lake");
    browser.wait("document.querySelector('#results')");
    assert!(browser.text(".count").contains("resultado"));
    browser.screenshot("search-phone-dark");
    // The longer Spanish texts fit on all screens.
    for width in [360, 768, 900] {
        browser.set_appearance(width, 800, width == 768);
        for (screen, sign) in [
            ("#/browse/peer_1", ".list"),
            ("#/peers", ".list"),
            ("#/transfers", ".empty"),
            ("#/upload", ".empty"),
            ("#/account", ".list"),
            ("#/admin/users", ".list"),
            ("#/admin/invites", ".list"),
            ("#/admin/audit", ".list"),
        ] {
            web.screen(screen, sign);
            let wide = browser.run("return document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= width.into(), "{screen}: {wide}");
            let over = "[...document.querySelectorAll('button')].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText)";
            let over = browser.run(&format!("return {over}"));
            assert_eq!(
                over.as_array().unwrap().len(),
                0,
                "{screen} {width}: {over}"
            );
            let name = screen.replace(['#', '/'], "-");
            browser.screenshot(&format!("spanish{name}-{width}"));
        }
    }
    browser.click("#top [lang=en]");
    browser.wait("document.documentElement.lang === 'en'");
    assert!(browser.text("#top nav").contains("Browse"));
    // The choice is saved.
    browser.run("location.reload()");
    browser.wait("document.querySelector('#top [lang=es]')");
    browser.assert_console_clean();
}
