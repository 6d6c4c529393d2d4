//! The parts of a client, which its clones, handles and requests share.

use std::sync::{Arc, OnceLock};

use crate::calls::Call;
use crate::clock::ClientClock;
use crate::deliveries::Deliveries;
use crate::error::Result;
use crate::grants::Grants;
use crate::installs::{Installations, Installs};
use crate::jobs::Jobs;
use crate::options::OptionSet;
use crate::refresh::Refresher;
use crate::settings::Settings;
use crate::sync::Mutex;

/// The parts of a client.
pub(crate) struct Inner {
    /// The options that the client was made with, the environment's included.
    pub(crate) options: OptionSet,
    /// Language of the binding, for the `User-Agent`.
    pub(crate) language: Option<String>,
    /// The store was given as an object.
    pub(crate) own_store: bool,
    /// Name of the default account: empty for a static token without one.
    pub(crate) default_name: Option<String>,
    /// Grants, and how they are refreshed.
    pub(crate) refresher: Refresher,
    /// Locations whose installations wait for their company's grant.
    pub(crate) installs: Installs,
    /// The webhooks that the client's verifiers remember in memory, if its store is its own memory.
    pub(crate) deliveries: OnceLock<Arc<Mutex<Deliveries>>>,
    /// Calls on threads of their own, which callers share and may leave.
    pub(crate) jobs: Arc<Jobs>,
}

impl Inner {
    #[inline]
    pub(crate) fn grants(&self) -> &Grants {
        &self.refresher.grants
    }

    #[inline]
    pub(crate) fn clock(&self) -> &ClientClock {
        &self.refresher.grants.clock
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.refresher.grants.settings
    }

    pub(crate) fn installations(&self) -> Installations<'_> {
        Installations { refresher: &self.refresher, installs: &self.installs }
    }

    /// Refuses calls once the client is closed, and calls from within its own callbacks.
    pub(crate) fn check_open(&self) -> Result<()> {
        self.grants().calls.check_open()
    }

    /// Refuses a forked child.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.grants().calls.check_process()
    }

    /// Begins a call that takes at most the option `timeout`, or goes on with the call that led
    /// here.
    pub(crate) fn begin_call(&self) -> Call {
        self.grants().begin_call()
    }
}

impl AsRef<Refresher> for Inner {
    fn as_ref(&self) -> &Refresher {
        &self.refresher
    }
}
