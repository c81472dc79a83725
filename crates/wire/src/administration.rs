//! Conversions of administration messages.

use std::net::IpAddr;

use convite_core::Problem;
use convite_core::administration::{
    AccountSummary, AuditRecord, InviteSummary, SessionSummary, SpaceSummary,
};

use crate::convert::some_text;
use crate::v1;

/// Formats an optional value; empty for `None`.
fn text(shown: Option<impl ToString>) -> String {
    shown.map_or_else(String::new, |shown| shown.to_string())
}

fn address(text: String) -> Result<Option<IpAddr>, Problem> {
    let parsed = some_text(text).map(|text| text.parse()).transpose();
    parsed.map_err(|_| Problem::invalid("invalid IP address"))
}

impl From<&AccountSummary> for v1::AccountSummary {
    fn from(account: &AccountSummary) -> Self {
        Self {
            user: account.user.to_string(),
            role: account.role.name().to_owned(),
            disabled: account.disabled,
            created_at: account.created_at,
            spaces: account.spaces.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<v1::AccountSummary> for AccountSummary {
    type Error = Problem;

    fn try_from(account: v1::AccountSummary) -> Result<Self, Problem> {
        let spaces = account.spaces.iter().map(|space| space.parse());
        Ok(Self {
            user: account.user.parse()?,
            role: account.role.parse()?,
            disabled: account.disabled,
            created_at: account.created_at,
            spaces: spaces.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&SpaceSummary> for v1::SpaceSummary {
    fn from(space: &SpaceSummary) -> Self {
        Self {
            space: space.space.to_string(),
            members: space.members,
            created_at: space.created_at,
        }
    }
}

impl TryFrom<v1::SpaceSummary> for SpaceSummary {
    type Error = Problem;

    fn try_from(space: v1::SpaceSummary) -> Result<Self, Problem> {
        Ok(Self {
            space: space.space.parse()?,
            members: space.members,
            created_at: space.created_at,
        })
    }
}

impl From<&AuditRecord> for v1::AuditRecord {
    fn from(record: &AuditRecord) -> Self {
        Self {
            at: record.at,
            last: record.last,
            times: record.times,
            actor: text(record.actor.as_ref()),
            action: record.action.name().to_owned(),
            target: record.target.clone(),
            address: text(record.address),
            outcome: record.outcome.name().to_owned(),
        }
    }
}

impl TryFrom<v1::AuditRecord> for AuditRecord {
    type Error = Problem;

    fn try_from(record: v1::AuditRecord) -> Result<Self, Problem> {
        let actor = some_text(record.actor).map(|user| user.parse());
        Ok(Self {
            at: record.at,
            last: record.last,
            times: record.times,
            actor: actor.transpose()?,
            action: record.action.parse()?,
            target: record.target,
            address: address(record.address)?,
            outcome: record.outcome.parse()?,
        })
    }
}

impl From<&InviteSummary> for v1::InviteSummary {
    fn from(invite: &InviteSummary) -> Self {
        Self {
            id: invite.id.clone(),
            role: invite.role.name().to_owned(),
            space: text(invite.space.as_ref()),
            uses_left: invite.uses_left,
            created_at: invite.created_at,
            expires_at: invite.expires_at,
            created_by: text(invite.created_by.as_ref()),
        }
    }
}

impl TryFrom<v1::InviteSummary> for InviteSummary {
    type Error = Problem;

    fn try_from(invite: v1::InviteSummary) -> Result<Self, Problem> {
        let space = some_text(invite.space).map(|space| space.parse());
        let creator = some_text(invite.created_by).map(|user| user.parse());
        Ok(Self {
            id: invite.id,
            role: invite.role.parse()?,
            space: space.transpose()?,
            uses_left: invite.uses_left,
            created_at: invite.created_at,
            expires_at: invite.expires_at,
            created_by: creator.transpose()?,
        })
    }
}

impl From<&SessionSummary> for v1::SessionSummary {
    fn from(session: &SessionSummary) -> Self {
        Self {
            id: session.id.clone(),
            user: session.user.to_string(),
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            address: text(session.address),
            peer: text(session.peer.as_ref()),
            current: session.current,
        }
    }
}

impl TryFrom<v1::SessionSummary> for SessionSummary {
    type Error = Problem;

    fn try_from(session: v1::SessionSummary) -> Result<Self, Problem> {
        let peer = some_text(session.peer).map(|peer| peer.parse());
        Ok(Self {
            id: session.id,
            user: session.user.parse()?,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            address: address(session.address)?,
            peer: peer.transpose()?,
            current: session.current,
        })
    }
}
