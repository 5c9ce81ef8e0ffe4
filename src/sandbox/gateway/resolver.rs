//! The system's own way to find and reach hosts.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use futures_util::future::BoxFuture;
use tokio::net::{TcpStream, lookup_host};

use crate::{domain::gateway::hosts::Host, ports::gateway::Resolver};

/// The resolver of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &Host) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        // With a dot at its end: no search domain of this machine is tried.
        let name = format!("{host}.");
        Box::pin(async move { Ok(lookup_host((name, 443)).await?.map(|address| address.ip()).collect()) })
    }

    fn connect(&self, address: IpAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(SocketAddr::new(address, 443)))
    }
}
