//! Which addresses are of the public internet. Whatever is not surely public is refused.
//!
//! Sources: the IANA registries of special-purpose addresses
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that are not public: first address, length of the prefix, what it is.
const REFUSED_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local or metadata"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    // Also Oracle's metadata, 192.0.0.192.
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documents"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documents"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documents"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "Azure's metadata"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// Blocks of IPv6 within 2000::/3, outside of which nothing is public, that are not public either.
const REFUSED_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a protocol's own, Teredo among them"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "for documents"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "for documents"),
];

/// What is outside of 2000::/3, in words.
const NAMED_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, "an IPv4 address in IPv6"),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 32, "NAT64"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// What an address is when it is not public, in words; `None` for a public one.
pub fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => find(REFUSED_V4, |block, bits| within_v4(address, block, bits)),
        IpAddr::V6(address) if !within_v6(address, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3) => {
            Some(find(NAMED_V6, |block, bits| within_v6(address, block, bits)).unwrap_or("not global"))
        }
        IpAddr::V6(address) => find(REFUSED_V6, |block, bits| within_v6(address, block, bits)),
    }
}

/// Whether what a name resolved to may be connected to: all of it must be public, for a name that has a private address
/// beside a public one is no honest name.
///
/// # Errors
/// The reason, in words.
pub fn check(addresses: &[IpAddr]) -> Result<(), String> {
    if addresses.is_empty() {
        return Err("it has no address".into());
    }
    match addresses.iter().find_map(|address| refused(*address)) {
        Some(what) => Err(format!("it resolves to an address that is {what}")),
        None => Ok(()),
    }
}

fn find<A: Copy>(blocks: &[(A, u32, &'static str)], within: impl Fn(A, u32) -> bool) -> Option<&'static str> {
    blocks.iter().find(|(block, bits, _)| within(*block, *bits)).map(|(_, _, what)| *what)
}

fn within_v4(address: Ipv4Addr, block: Ipv4Addr, bits: u32) -> bool {
    (address.to_bits() ^ block.to_bits()).leading_zeros() >= bits
}

fn within_v6(address: Ipv6Addr, block: Ipv6Addr, bits: u32) -> bool {
    (address.to_bits() ^ block.to_bits()).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Option<&'static str> {
        refused(text.parse().unwrap_or_else(|_| panic!("{text}")))
    }

    #[test]
    fn public_addresses_pass() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.15",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "2001:200::1",
            "2003::1",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_its_name() {
        for (text, expected) in [
            ("0.0.0.0", "this network"),
            ("10.255.255.255", "private"),
            ("100.100.100.200", "shared by a carrier"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("169.254.169.254", "link-local or metadata"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "reserved"),
            ("192.168.1.1", "private"),
            ("198.19.255.255", "for benchmarks"),
            ("168.63.129.16", "Azure's metadata"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "not global"),
            ("::1", "loopback"),
            ("::127.0.0.1", "not global"),
            ("::ffff:127.0.0.1", "an IPv4 address in IPv6"),
            ("::ffff:8.8.8.8", "an IPv4 address in IPv6"),
            ("64:ff9b::a9fe:a9fe", "NAT64"),
            ("64:ff9b:1::7f00:1", "NAT64"),
            ("2002:7f00:1::", "6to4"),
            ("2001::1", "a protocol's own, Teredo among them"),
            ("2001:db8::1", "for documents"),
            ("3fff::1", "for documents"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "not global"),
            ("ff02::1", "multicast"),
            ("100::1", "not global"),
            ("4000::1", "not global"),
            ("5f00::1", "not global"),
        ] {
            assert_eq!(of(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn one_address_that_is_not_public_spoils_the_name() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(check(&parse(&["1.1.1.1", "8.8.8.8"])), Ok(()));
        assert!(check(&parse(&["1.1.1.1", "10.0.0.1"])).is_err());
        assert!(check(&parse(&["::ffff:1.1.1.1"])).is_err());
        assert!(check(&[]).is_err());
    }

    proptest! {
        /// The standard library's own opinion, where it has one: what it calls private in any way is refused.
        #[test]
        fn nothing_that_is_known_to_be_special_passes(bits in any::<u32>(), high in any::<u128>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || refused(v4.into()).is_some());
            prop_assert!(refused(v4.to_ipv6_mapped().into()).is_some());
            prop_assert!(refused(v4.to_ipv6_compatible().into()).is_some());
            let v6 = Ipv6Addr::from_bits(high);
            let special = v6.is_loopback() || v6.is_multicast() || v6.is_unique_local()
                || v6.is_unicast_link_local() || v6.is_unspecified() || v6.to_ipv4().is_some();
            prop_assert!(!special || refused(v6.into()).is_some());
        }
    }
}
