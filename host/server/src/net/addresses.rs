//! Which addresses a merchant may have us call: the internet's, and this network's own only where the operator says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest address of an endpoint, in bytes.
const LONGEST_URL: usize = 2_048;

/// The ports of the web's servers. Others belong to services that are not meant to be spoken to in HTTP.
const PORTS: [u16; 2] = [443, 8443];

/// Where an IP address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// To the internet.
    Public,
    /// To this machine or the network around it.
    Private,
    /// To nothing that is an endpoint: metadata services, multicast, documentation, other spellings of IPv4.
    Never,
}

/// Whom merchants may have us call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The internet alone.
    Public,
    /// This network too.
    Anywhere,
    /// This network alone: for what is sent in the clear.
    Private,
}

impl Reach {
    /// Whether an address may be called.
    pub fn allows(self, address: IpAddr) -> bool {
        match range(address) {
            Range::Public => self != Reach::Private,
            Range::Private => self != Reach::Public,
            Range::Never => false,
        }
    }
}

/// Where an IP address leads, by the registries of special addresses (RFC 6890 and those that followed).
pub fn range(address: IpAddr) -> Range {
    match address {
        IpAddr::V4(address) => range_v4(address),
        IpAddr::V6(address) => range_v6(address),
    }
}

fn range_v4(address: Ipv4Addr) -> Range {
    match address.octets() {
        // Loopback, private networks, and the network of a carrier or an overlay.
        [127, ..] | [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Range::Private,
        // Alibaba's metadata service lies in the carriers' range.
        [100, 100, 100, 200] => Range::Never,
        [100, 64..=127, ..] => Range::Private,
        // Azure's lies among public addresses.
        [168, 63, 129, 16] => Range::Never,
        // This network, link-local with the other metadata services, protocol assignments, documentation, the old relay,
        // benchmarks, multicast, reserved, broadcast.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Range::Never,
        _ => Range::Public,
    }
}

fn range_v6(address: Ipv6Addr) -> Range {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Range::Private,
        // Amazon's metadata service lies among unique local addresses.
        [0xfd00, 0x0ec2, ..] => Range::Never,
        [0xfc00..=0xfdff, ..] => Range::Private,
        // Protocol assignments with Teredo, documentation, 6to4: the last two carry any IPv4 address.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] => Range::Never,
        [0x3fff, 0..=0x0fff, ..] => Range::Never,
        [0x2000..=0x3fff, ..] => Range::Public,
        // Mapped, translated and compatible IPv4, link-local, site-local, multicast, unspecified, and what nobody has
        // given out.
        _ => Range::Never,
    }
}

/// Reads an endpoint's address; `private` lets it be on this network, and in the clear there.
///
/// # Errors
/// The rule that it breaks. What its name resolves to is checked when it is called.
pub fn endpoint_url(text: &str, private: bool) -> Result<Url, &'static str> {
    if text.len() > LONGEST_URL {
        return Err("must have 2048 bytes or fewer");
    }
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err("must have no spaces");
    }
    let url =
        Url::parse(text).map_err(|_| "must be an address such as https://shop.example/hooks")?;
    if url.scheme() != "https" && !(url.scheme() == "http" && private) {
        return Err("must be https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password");
    }
    if url.fragment().is_some() {
        return Err("must have no fragment");
    }
    let port = url.port_or_known_default().unwrap_or(0);
    if !private && !PORTS.contains(&port) || port == 0 {
        return Err("must have port 443 or 8443");
    }
    let literal = match url.host() {
        Some(Host::Domain(_)) => return Ok(url),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        None => return Err("must name a host"),
    };
    if reach(&url, private).allows(literal) {
        Ok(url)
    } else {
        Err("must not lead into a private network")
    }
}

/// Whom an endpoint's address may lead to. In the clear nothing leaves this network.
pub fn reach(url: &Url, private: bool) -> Reach {
    match (url.scheme(), private) {
        ("https", false) => Reach::Public,
        ("https", true) => Reach::Anywhere,
        _ => Reach::Private,
    }
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
