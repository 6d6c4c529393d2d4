//! The vault: opens and seals the stored form of grants, and fingerprints their refresh tokens.

use super::Grant;
use crate::account::Account;
use crate::error::{Error, ErrorCode, Result};
use crate::keys::{Keys, LazyKeys};
use crate::seal::{KeyRing, is_sealed, is_unnumbered};
use crate::store::{Fingerprint, NewRecord, Record};

/// The keys of an app's rows.
pub(crate) struct Vault {
    /// Origin of the token endpoint and client id.
    app: String,
    /// `None` for a static token, of which nothing is stored.
    keys: Option<LazyKeys>,
}

impl Vault {
    pub(crate) fn new(app: String, keys: Option<LazyKeys>) -> Self {
        Self { app, keys }
    }

    /// Returns the keys: `INVALID_STATE` for a static token, `STORE_KEY` if they can't be read.
    pub(crate) fn keys(&self) -> Result<&Keys> {
        self.keys
            .as_ref()
            .ok_or_else(|| Error::state("this needs OAuth: set `client_id` and `client_secret`"))?
            .get()
    }

    /// Returns the key ring of the grants, if they are sealed.
    pub(crate) fn ring(&self) -> Result<Option<&KeyRing>> {
        match &self.keys {
            Some(keys) => Ok(keys.get()?.grants.as_ref()),
            None => Ok(None),
        }
    }

    /// Returns the fingerprint of a token of an account, under the first key.
    pub(crate) fn fingerprint(&self, account: &Account, token: &str) -> Fingerprint {
        // Without keys nothing can be opened or saved either.
        let keys = self.keys.as_ref().and_then(|keys| keys.get().ok());
        keys.map_or_else(Fingerprint::default, |keys| keys.fingerprint.of(account.as_str(), token))
    }

    /// Returns `true` if the account was ever imported or refreshed with this token, by the
    /// fingerprints of any of the keys.
    pub(crate) fn has_seen(
        &self,
        account: &Account,
        token: &str,
        seen: &[Fingerprint],
    ) -> Result<bool> {
        let keys = self.keys()?;
        let mut all = std::iter::once(&keys.fingerprint).chain(&keys.older_fingerprints);
        Ok(all.any(|fingerprint| seen.contains(&fingerprint.of(account.as_str(), token))))
    }

    /// Opens the grant of a record.
    pub(crate) fn open(&self, account: &Account, record: &Record, bytes: &[u8]) -> Result<Grant> {
        match self.ring()? {
            Some(ring) => {
                let parts = [self.app.as_bytes(), account.as_str().as_bytes()];
                let opened = if is_unnumbered(bytes) {
                    self.check_never_numbered(account, record)
                        .and_then(|()| ring.open(&parts, bytes))
                } else {
                    ring.open_numbered(&parts, record.generation, bytes)
                };
                let plain = opened.map_err(|error| error.with_account(account))?;
                Grant::from_bytes(account, &plain)
            }
            None if is_sealed(bytes) => Err(Error::new(
                ErrorCode::StoreKey,
                "the stored grant is sealed and no key is given: set `store_key` to the key that \
                 it was sealed with",
            )
            .with_account(account)),
            None => Grant::from_bytes(account, bytes),
        }
    }

    /// Refuses to replace a grant that another key sealed: the owner of that key still needs it. A
    /// damaged grant may be replaced.
    pub(crate) fn check_replaceable(&self, account: &Account, record: &Record) -> Result<()> {
        let Some(bytes) = &record.grant else { return Ok(()) };
        match self.open(account, record, bytes) {
            Err(error) if error.code() == ErrorCode::StoreKey => Err(error),
            _ => Ok(()),
        }
    }

    /// Refuses a grant in the form of an earlier release, which does not tell its generation, if
    /// this release has written the account's row before: then somebody put an old grant back.
    fn check_never_numbered(&self, account: &Account, record: &Record) -> Result<()> {
        if !self.has_seen(account, NUMBERED, &record.seen)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::StoreCorrupt,
            "somebody restored an older copy of the grant into the store, or an earlier release of \
             hoopauth wrote there: upgrade every program that shares the store, and authorize the \
             account again",
        ))
    }

    /// Seals a grant as the record that follows generation `expected`. `spent` is the fingerprint
    /// of a refresh token that is remembered beside the new one's.
    pub(crate) fn seal(
        &self,
        grant: &Grant,
        expected: u64,
        seen: &[Fingerprint],
        spent: Option<Fingerprint>,
    ) -> Result<NewRecord> {
        let plain = grant.to_bytes()?;
        let mut seen = seen.to_vec();
        let bytes = match self.ring()? {
            Some(ring) => {
                // At the front, among the fingerprints that are never forgotten.
                let numbered = self.fingerprint(&grant.account, NUMBERED);
                if !seen.contains(&numbered) {
                    seen.insert(0, numbered);
                }
                let parts = [self.app.as_bytes(), grant.account.as_str().as_bytes()];
                ring.seal_numbered(&parts, expected + 1, &plain)?
            }
            None => plain.to_vec(),
        };
        let token = grant.refresh_token.as_ref();
        let now = token.map(|token| self.fingerprint(&grant.account, token.expose()));
        for fingerprint in spent.into_iter().chain(now) {
            if !seen.contains(&fingerprint) {
                seen.push(fingerprint);
            }
        }
        // The first one is of the seed that an app imports at every start. It is never forgotten.
        while seen.len() > MOST_SEEN {
            seen.remove(KEPT_SEEDS);
        }
        Ok(NewRecord { grant: Some(bytes), expires_at: grant.expires_at, seen })
    }
}

const MOST_SEEN: usize = 64;
const KEPT_SEEDS: usize = 17;
/// Text whose fingerprint among the seen ones says that the account's grants are sealed with their
/// generation. It has a space, which no token has.
const NUMBERED: &str = "sealed with its generation";
