//! Facts about grants that a request is checked against: scopes and company.

use std::collections::HashMap;
use std::sync::Arc;

use super::Grant;
use crate::error::Result;
use crate::sync::{Mutex, lock};

/// Facts about the accounts' grants. They stand beside the snapshots, so that clients which check
/// no request need no memory for them.
#[derive(Debug, Default)]
pub(crate) struct FactsOfGrants {
    table: Mutex<Table>,
}

/// Facts about one grant.
#[derive(Clone, Debug)]
pub(crate) struct GrantFacts {
    pub(crate) scopes: Arc<[String]>,
    pub(crate) company_id: Option<Arc<str>>,
}

impl FactsOfGrants {
    /// Returns the facts about the stored grant of `account` at `generation` or later. Calls `read`
    /// for them once per generation.
    pub(crate) fn of_stored(
        &self,
        account: &str,
        generation: u64,
        read: impl FnOnce() -> Result<(u64, Grant)>,
    ) -> Result<GrantFacts> {
        if let Some((of, facts)) = lock(&self.table).rows.get(account)
            && *of >= generation
        {
            return Ok(facts.clone());
        }
        let (generation, grant) = read()?;
        let mut table = lock(&self.table);
        let facts = table.facts_of(grant);
        if table.rows.len() >= MOST_ROWS
            && !table.rows.contains_key(account)
            && let Some(other) = table.rows.keys().next().cloned()
        {
            table.rows.remove(&other);
        }
        table.rows.insert(account.into(), (generation, facts.clone()));
        Ok(facts)
    }

    /// Returns the facts about a grant that has no stored generation yet.
    pub(crate) fn of_unsaved(&self, grant: Grant) -> GrantFacts {
        lock(&self.table).facts_of(grant)
    }
}

#[derive(Debug, Default)]
struct Table {
    /// Generation and facts, by account.
    rows: HashMap<Box<str>, (u64, GrantFacts)>,
    /// The scopes of the last grant. Most grants of an app have the same and share them.
    scopes: Arc<[String]>,
}

impl Table {
    fn facts_of(&mut self, grant: Grant) -> GrantFacts {
        if *self.scopes != *grant.scopes {
            self.scopes = grant.scopes.into();
        }
        GrantFacts {
            scopes: Arc::clone(&self.scopes),
            company_id: grant.company_id.map(Into::into),
        }
    }
}

/// A few megabytes if every grant has its own scopes.
const MOST_ROWS: usize = 16_384;
