//! The shares screen: the shares of this home and the state of hashing.

use convite_core::display;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::Theme;
use super::widgets::{self, List};
use crate::menu::model::Model;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let Some(peer) = &model.peer else {
        return widgets::centered(frame, area, &["The peer is starting…"], theme);
    };
    let room = usize::from(area.width).saturating_sub(2);
    let listed = match (peer.online, peer.trouble.is_empty()) {
        (true, _) => Span::styled("listed", theme.success()),
        (false, true) => Span::styled("not listed yet", theme.warning()),
        (false, false) => {
            let trouble = format!("not listed: {}", peer.trouble);
            Span::styled(text::fit(&trouble, room / 2), theme.error())
        }
    };
    let files = text::count(peer.files, "file", "files");
    let mut said = vec![
        Span::styled(text::fit(&peer.id, room / 3), theme.title()),
        Span::raw("  "),
        listed,
        Span::styled(
            format!("  {files}, {}", display::format_bytes(peer.bytes)),
            theme.dim(),
        ),
    ];
    if peer.to_hash > 0 {
        let left = text::count(peer.to_hash, "file", "files");
        said.push(Span::styled(format!("  {left} to hash"), theme.warning()));
    }
    frame.render_widget(Line::from(said), widgets::row(area, 0));
    if let Some(inbox) = &peer.inbox {
        let coming = match inbox.coming.len() as u64 {
            0 => String::new(),
            count => format!(", receiving {}", text::count(count, "file", "files")),
        };
        let used = display::format_bytes(inbox.used);
        let place = display::escape(&inbox.folder);
        let said = text::fit(&format!("inbox: {used} in {place}{coming}"), room);
        frame.render_widget(Line::styled(said, theme.dim()), widgets::row(area, 1));
    }
    let body = widgets::below(area, 2);
    let shares = &model.shares.all;
    if shares.is_empty() {
        let lines = [
            "Nothing is shared",
            "",
            "Press a to share a folder.",
            "Files are shared in place; nothing is copied.",
        ];
        return widgets::centered(frame, body, &lines, theme);
    }
    let count = 14;
    let name = (room / 4).clamp(8, 24);
    let folder = room.saturating_sub(name + count + 2);
    let head = format!(
        "{} {} {}",
        text::pad_end("share", name),
        text::pad_end("folder", folder),
        text::pad_start("files", count)
    );
    frame.render_widget(Line::styled(head, theme.dim()), widgets::row(body, 0));
    let list = List {
        len: shares.len(),
        tall: 1,
        chosen: &model.shares.chosen,
        is_active: true,
    };
    list.draw(frame, widgets::below(body, 1), theme, |place| {
        let share = &shares[place];
        let files = text::count(share.files, "file", "files");
        let named = match share.space.as_str() {
            "" => share.name.clone(),
            space => format!("{} · {space}", share.name),
        };
        let (at, style) = if share.trouble.is_empty() {
            (share.folder.clone(), theme.dim())
        } else {
            (format!("✗ {}", share.trouble), theme.error())
        };
        vec![Line::from(vec![
            Span::raw(text::pad_end_name(&named, name)),
            Span::styled(format!(" {} ", text::pad_end_name(&at, folder)), style),
            Span::raw(text::pad_start(&files, count)),
        ])]
    });
}
