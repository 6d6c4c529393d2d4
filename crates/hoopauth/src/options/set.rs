//! The options of one client or one verifier, as they are set.

use std::time::Duration;

use url::Url;

use super::value::Value;
use super::{CREDENTIALS, OPTIONS, OptionRow};
use crate::account::{Account, AccountKind};
use crate::error::{Error, ErrorCode, Result};
use crate::mistake::{self, Form};
use crate::secret::Secret;
use crate::store_key::StoreKey;
use crate::store_name::StoreName;

/// Takes the content of one kind of value.
macro_rules! pick {
    ($kind:ident) => {
        |value| match value {
            Value::$kind(content) => Some(content),
            _ => None,
        }
    };
}

/// Options and their values, parsed one by one as they are set.
#[derive(Clone, Debug)]
pub(crate) struct OptionSet {
    table: &'static [OptionRow],
    values: Vec<(&'static str, Value)>,
}

impl Default for OptionSet {
    fn default() -> Self {
        Self::of(OPTIONS)
    }
}

impl OptionSet {
    /// Makes a set in which none of a table's options is set.
    pub(crate) fn of(table: &'static [OptionRow]) -> Self {
        Self { table, values: Vec::new() }
    }

    /// Sets an option from its text; the last value wins. An empty value is refused: leave the
    /// option out instead.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let row = row(self.table, name)?;
        self.keep(row, Value::parse(row, &label(row), text)?);
        Ok(())
    }

    /// Sets an option to a value of its type.
    pub(crate) fn set_value(&mut self, name: &str, value: Value) -> Result<()> {
        let row = row(self.table, name)?;
        self.keep(row, value.within_limits(row, &label(row))?);
        Ok(())
    }

    /// Sets an option that is a list.
    pub(crate) fn set_list<S: AsRef<str>>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        let row = row(self.table, name)?;
        self.keep(row, Value::List(super::validate_scopes(&label(row), items)?));
        Ok(())
    }

    /// Sets an option from the environment: errors name the variable, too.
    fn set_from(&mut self, variable: &str, name: &str, text: &str) -> Result<()> {
        let row = row(self.table, name)?;
        let label = format!("{} (environment variable `{variable}`)", label(row));
        self.keep(row, Value::parse(row, &label, text)?);
        Ok(())
    }

    fn keep(&mut self, row: &'static OptionRow, value: Value) {
        self.values.retain(|(name, _)| *name != row.name);
        self.values.push((row.name, value));
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.iter().any(|(n, _)| *n == name)
    }

    /// Returns the option's value, else its default, else `None`.
    fn get<T>(&self, name: &str, pick: impl FnOnce(Value) -> Option<T>) -> Result<Option<T>> {
        let row = row(self.table, name)?;
        let set = self.values.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone());
        let value = match (set, row.default) {
            (Some(value), _) => value,
            (None, Some(text)) => Value::parse(row, &label(row), text)?,
            (None, None) => return Ok(None),
        };
        pick(value).map(Some).ok_or_else(|| {
            Error::new(
                ErrorCode::Internal,
                format!("{} was read as another kind of value; please report it", label(row)),
            )
        })
    }

    /// Returns the same as [`get`](Self::get) for an option that has a default.
    fn need<T>(&self, name: &str, pick: impl FnOnce(Value) -> Option<T>) -> Result<T> {
        self.get(name, pick)?.ok_or_else(|| Error::config(format!("`{name}` is missing: set it")))
    }

    pub(crate) fn secret(&self, name: &str) -> Result<Option<Secret>> {
        self.get(name, pick!(Text))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.secret(name)?.map(|text| text.expose().to_owned()))
    }

    pub(crate) fn need_text(&self, name: &str) -> Result<String> {
        self.need(name, pick!(Text)).map(|text| text.expose().to_owned())
    }

    pub(crate) fn seconds(&self, name: &str) -> Result<Duration> {
        self.need(name, pick!(Seconds))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        self.need(name, pick!(Number))
    }

    /// Returns a number of things in memory: one too large for this computer means all there are.
    pub(crate) fn size(&self, name: &str) -> Result<usize> {
        Ok(usize::try_from(self.number(name)?).unwrap_or(usize::MAX))
    }

    /// Returns a list; one that is not set is empty.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.get(name, pick!(List))?.unwrap_or_default())
    }

    pub(crate) fn url(&self, name: &str) -> Result<Url> {
        self.need(name, pick!(Url))
    }

    pub(crate) fn account(&self, name: &str) -> Result<Option<Account>> {
        self.get(name, pick!(Account))
    }

    pub(crate) fn user_type(&self, name: &str) -> Result<Option<AccountKind>> {
        self.get(name, pick!(UserType))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        self.get(name, pick!(Boolean))
    }

    /// Returns `true` if a switch, which has a default, is on.
    pub(crate) fn is_on(&self, name: &str) -> Result<bool> {
        self.need(name, pick!(Boolean))
    }

    pub(crate) fn choice(&self, name: &str) -> Result<Option<&'static str>> {
        self.get(name, pick!(Choice))
    }

    pub(crate) fn store(&self) -> Result<StoreName> {
        self.need("store", pick!(Store))
    }

    pub(crate) fn store_key(&self) -> Result<Option<StoreKey>> {
        self.get("store_key", pick!(StoreKey))
    }

    /// Fills unset options from the environment: `HOOPAUTH_<NAME>`, then HoopAI's own names.
    pub(crate) fn fill_from(
        &mut self,
        read: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<()> {
        let text = |name: &str| match read(name).map(std::ffi::OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) if text.trim_ascii().is_empty() => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Error::config(format!(
                "the environment variable `{name}` is not UTF-8 text: write its value as UTF-8"
            ))),
        };
        let own_credential = CREDENTIALS.iter().any(|name| self.is_set(name));
        for row in OPTIONS.iter().filter(|row| !(own_credential && CREDENTIALS.contains(&row.name)))
        {
            if self.is_set(row.name) {
                continue;
            }
            let variable = row.environment();
            if let Some(value) = text(&variable)? {
                self.set_from(&variable, row.name, &value)?;
            }
        }
        if !CREDENTIALS.iter().any(|name| self.is_set(name))
            && let Some(token) = text(HOOPAI_TOKEN)?
        {
            self.set_from(HOOPAI_TOKEN, "private_integration_token", &token)?;
        }
        if !self.is_set("default_account")
            && let Some(id) = text(LOCATION_ID)?
        {
            let id = id.trim_ascii();
            if let Some(what) = mistake::found(id, Form::Word) {
                return Err(Error::config(format!(
                    "the environment variable `{LOCATION_ID}` {what}"
                )));
            }
            let account = if id.contains(':') { id.to_owned() } else { format!("location:{id}") };
            self.set_from(LOCATION_ID, "default_account", &account)?;
        }
        Ok(())
    }
}

/// Names an option in messages.
fn label(row: &OptionRow) -> String {
    format!("`{}`", row.name)
}

fn row(table: &'static [OptionRow], name: &str) -> Result<&'static OptionRow> {
    table.iter().find(|row| row.name == name).ok_or_else(|| {
        let shown: String = name.chars().take(64).filter(char::is_ascii_graphic).collect();
        let near = table
            .iter()
            .find(|row| row.name.eq_ignore_ascii_case(&shown.replace('-', "_")))
            .map_or_else(String::new, |row| format!("; did you mean `{}`?", row.name));
        Error::config(format!("there is no option `{shown}`{near}"))
    })
}

pub(super) const HOOPAI_TOKEN: &str = "HOOPAI_TOKEN";
pub(super) const LOCATION_ID: &str = "LOCATION_ID";
