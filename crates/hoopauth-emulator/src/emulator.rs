use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Deref;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::control::Control;
use crate::server::serve;
use crate::shared::Shared;
use crate::state::State;
use crate::webhook::sender;

/// A running emulator. It stops when it is dropped, with whatever connections are open.
///
/// Its addresses and everything else a test may ask of it are the methods of [`Control`].
#[derive(Debug)]
pub struct Emulator {
    control: Control,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Opens the port and starts to answer. May be called inside an asynchronous runtime or outside
    /// of any.
    ///
    /// Fails if the port is taken, or with [`io::ErrorKind::InvalidInput`] if the configuration
    /// contradicts itself.
    pub fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))?;
        listener.set_nonblocking(true)?;
        let base = format!("http://{}", listener.local_addr()?);
        let state =
            State::new(config).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let shared = Arc::new(Shared::new(base, state));
        let control = Control::new(shared.clone());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("hoopauth-emulator".into()).spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    tokio::spawn(sender::run(shared.clone()));
                    serve(listener, shared, stopped).await;
                }
            });
            // Dropping the runtime drops every connection, also those that a fault keeps waiting.
        })?;
        Ok(Self { control, stop: Some(stop), thread: Some(thread) })
    }

    /// A handle that can be moved to other threads.
    pub fn handle(&self) -> Control {
        self.control.clone()
    }
}

impl Deref for Emulator {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
