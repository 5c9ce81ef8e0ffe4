//! The way out of a sandbox, as those who own the sandbox see it: whom it asks, whom it tells, and its terminals.

use std::{fmt, io, net::IpAddr, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use subtle::ConstantTimeEq;
use tokio::net::TcpStream;

use super::sandbox::Exec;
use crate::domain::gateway::{EgressLimits, EgressPolicy, EgressRecord, hosts::Host, usage::Metered};

/// What a sandbox holds instead of a provider's key. Of no use anywhere but at its own gateway.
#[derive(Clone)]
pub struct JobToken(String);

impl JobToken {
    /// A token of 32 bytes that nobody can guess.
    pub fn new(secret: [u8; 32]) -> Self {
        let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("atoll-job-{digits}"))
    }

    /// The token, for the environment of the sandbox.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// This is the token; takes the same time however much of it is right.
    pub fn is(&self, text: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(text).into()
    }
}

impl fmt::Debug for JobToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(job token)")
    }
}

/// A model call that wants to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCall {
    /// The provider's name in the gateway's table.
    pub provider: String,
    /// The model that is asked.
    pub model: String,
    /// Tokens that it reads, estimated on the safe side.
    pub input: u64,
    /// Tokens that it may write.
    pub output: u64,
}

/// A reservation, by a number that the meter gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Why there is no reservation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoBudget {
    /// The budget has no room; in words for whoever works in the sandbox. Asking again does not help.
    #[error("{0}")]
    Spent(String),
    /// Nobody can say whether it has. Asking again may help.
    #[error("the budget cannot be asked: {0}")]
    Unknown(String),
}

/// Keeps the account of a sandbox's model calls.
pub trait Meter: Send + Sync {
    /// Reserves the worst case of a call, before it is made.
    fn reserve(&self, call: ModelCall) -> BoxFuture<'static, Result<Ticket, NoBudget>>;

    /// Puts what was used in the place of the reservation. Comes once for each ticket, also when the call broke off;
    /// a ticket that is never settled (the process died) stays charged.
    fn settle(&self, ticket: Ticket, used: Metered) -> BoxFuture<'static, ()>;
}

/// Is told of every request of a sandbox, once, when it is over.
pub trait Egress: Send + Sync {
    /// Keeps a record. Called often; must not block.
    fn record(&self, record: EgressRecord);
}

/// Finds and reaches hosts for tunnels.
pub trait Resolver: Send + Sync {
    /// The addresses of a host.
    fn resolve(&self, host: &Host) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

    /// Connects to port 443 of this very address, which was checked: nothing may be resolved again.
    fn connect(&self, address: IpAddr) -> BoxFuture<'static, io::Result<TcpStream>>;
}

/// What one gateway is to do.
#[derive(Clone)]
pub struct GatewaySpec {
    /// What opens the model APIs.
    pub token: JobToken,
    /// What else may be reached.
    pub policy: EgressPolicy,
    /// How much.
    pub limits: EgressLimits,
    /// Who pays.
    pub meter: Arc<dyn Meter>,
    /// Who is told.
    pub egress: Arc<dyn Egress>,
}

/// Why there is no gateway or no terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayFault {
    /// The relay in the sandbox did not start, or is gone.
    #[error("{0}")]
    Relay(String),
    /// The terminal cannot be asked for.
    #[error("{0}")]
    BadTerminal(String),
}

/// What a terminal is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerminalAsk {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
    /// Where it starts; empty for where the relay was started.
    pub folder: String,
    /// The program and its arguments; none for the image's shell.
    pub argv: Vec<String>,
}

/// A piece of a terminal's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes that the terminal said before the first of these; more than was asked from when those are no longer kept.
    pub offset: u64,
    /// What it said. Untrusted: it may hold any escape sequence.
    pub bytes: Bytes,
}

/// Why nothing can be typed any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TerminalOver {
    /// Its program ended with this code; below zero: by this signal.
    #[error("the program of the terminal ended with {0}")]
    Exit(i32),
    /// The terminal could not be opened, or the sandbox is gone.
    #[error("the terminal is gone: {0}")]
    Broken(String),
}

/// A terminal in a sandbox, with the last of what it said. Dropping it hangs up.
pub trait Terminal: Send + Sync {
    /// Types.
    fn write(&self, bytes: Bytes) -> BoxFuture<'_, Result<(), TerminalOver>>;

    /// Gives it so many lines and columns.
    fn resize(&self, rows: u16, cols: u16);

    /// What it said from this byte on, as far as it is kept; empty when there is nothing yet.
    fn read(&self, from: u64) -> Chunk;

    /// What it said from this byte on, as soon as there is something; `None` when it is over and all was read.
    fn next(&self, from: u64) -> BoxFuture<'_, Option<Chunk>>;

    /// How it ended; `None` while it runs.
    fn over(&self) -> Option<TerminalOver>;
}

/// The way out of one sandbox. Dropping it shuts it.
pub trait Gateway: Send + Sync {
    /// The port on the loopback of the sandbox under which it is reached.
    fn port(&self) -> u16;

    /// Changes what may be reached. Tunnels to what may not any more are cut.
    fn set_policy(&self, policy: EgressPolicy);

    /// Answers when it is shut, and why: the relay ended, was killed, or broke the protocol.
    fn ended(&self) -> BoxFuture<'static, String>;

    /// Shuts it: running requests are cut and settled, the relay ends.
    fn close(&self);
}

/// Terminals in one sandbox. Dropping it hangs up all of them.
pub trait Terminals: Send + Sync {
    /// Opens one. A program that cannot be started shows as a terminal that is over.
    ///
    /// # Errors
    /// [`GatewayFault`].
    fn open(&self, ask: TerminalAsk) -> Result<Arc<dyn Terminal>, GatewayFault>;

    /// Answers when none can be opened any more, and why.
    fn ended(&self) -> BoxFuture<'static, String>;
}

/// Makes gateways.
pub trait Gateways: Send + Sync {
    /// Opens the way out of a sandbox in which `exec` is the relay, run by [`ExecUser::Relay`], as soon as that listens.
    ///
    /// [`ExecUser::Relay`]: super::sandbox::ExecUser::Relay
    fn serve(
        &self,
        exec: Exec,
        spec: GatewaySpec,
    ) -> BoxFuture<'static, Result<Arc<dyn Gateway>, GatewayFault>>;

    /// Opens the way into a sandbox in which `exec` is the relay with the argument `-`, run by [`ExecUser::Agent`]: it
    /// carries terminals, which are that user's, and no connections.
    ///
    /// [`ExecUser::Agent`]: super::sandbox::ExecUser::Agent
    fn terminals(&self, exec: Exec) -> BoxFuture<'static, Result<Arc<dyn Terminals>, GatewayFault>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_alone_and_is_never_shown() {
        let token = JobToken::new([7; 32]);
        assert_eq!(token.reveal().len(), 74);
        assert!(token.is(token.reveal().as_bytes()));
        for other in ["", "atoll-job-", &token.reveal()[..73], JobToken::new([8; 32]).reveal()] {
            assert!(!token.is(other.as_bytes()));
        }
        assert!(!format!("{token:?}").contains("07"));
    }
}
