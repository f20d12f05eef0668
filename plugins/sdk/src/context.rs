//! Reading the call's context: settings of the account and base addresses.

use crate::contract::types::{Context, Fault, Fields};
use crate::fault;

/// The first value of a name in `fields`.
pub fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

impl Context {
    /// A setting of the account, if it is there and not empty.
    pub fn setting(&self, name: &str) -> Option<&str> {
        find(&self.settings, name).filter(|value| !value.is_empty())
    }

    /// A setting without which nothing can be built.
    ///
    /// # Errors
    /// A `config` fault that names the setting.
    pub fn required_setting(&self, name: &str) -> Result<&str, Fault> {
        self.setting(name)
            .ok_or_else(|| fault::config(format!("the account has no setting `{name}`")))
    }

    /// The base address of an origin, without a slash at the end.
    ///
    /// # Errors
    /// A `config` fault that names the origin: the provider has no such mode.
    pub fn origin(&self, name: &str) -> Result<&str, Fault> {
        find(&self.origins, name)
            .map(|base| base.trim_end_matches('/'))
            .ok_or_else(|| fault::config(format!("the account has no address for `{name}`")))
    }
}
