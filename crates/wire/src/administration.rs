//! Checked conversions of what administrators see.

use convite_core::Problem;
use convite_core::administration::{AccountSummary, AuditRecord, SpaceSummary};

use crate::convert::some_text;
use crate::v1;

impl From<&AccountSummary> for v1::AccountSummary {
    fn from(account: &AccountSummary) -> Self {
        Self {
            user: account.user.to_string(),
            role: account.role.name().to_owned(),
            disabled: account.disabled,
            created: account.created,
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
            created: account.created,
            spaces: spaces.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&SpaceSummary> for v1::SpaceSummary {
    fn from(space: &SpaceSummary) -> Self {
        Self {
            name: space.name.to_string(),
            members: space.members,
            created: space.created,
        }
    }
}

impl TryFrom<v1::SpaceSummary> for SpaceSummary {
    type Error = Problem;

    fn try_from(space: v1::SpaceSummary) -> Result<Self, Problem> {
        Ok(Self {
            name: space.name.parse()?,
            members: space.members,
            created: space.created,
        })
    }
}

impl From<&AuditRecord> for v1::AuditRecord {
    fn from(record: &AuditRecord) -> Self {
        let text = |shown: Option<String>| shown.unwrap_or_default();
        Self {
            at: record.at,
            last: record.last,
            times: record.times,
            user: text(record.user.as_ref().map(ToString::to_string)),
            act: record.act.name().to_owned(),
            subject: record.subject.clone(),
            address: text(record.address.map(|address| address.to_string())),
            outcome: record.outcome.name().to_owned(),
        }
    }
}

impl TryFrom<v1::AuditRecord> for AuditRecord {
    type Error = Problem;

    fn try_from(record: v1::AuditRecord) -> Result<Self, Problem> {
        let user = some_text(record.user).map(|user| user.parse());
        let address = some_text(record.address).map(|address| address.parse());
        Ok(Self {
            at: record.at,
            last: record.last,
            times: record.times,
            user: user.transpose()?,
            act: record.act.parse()?,
            subject: record.subject,
            address: address
                .transpose()
                .map_err(|_| Problem::invalid("an address of the log is none"))?,
            outcome: record.outcome.parse()?,
        })
    }
}
