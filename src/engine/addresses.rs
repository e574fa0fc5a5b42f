//! The client's own addresses. From one address to a server there are as many connections as there are ports; a machine
//! that talks to itself has as many addresses for that as it wants.

use std::net::{IpAddr, Ipv4Addr};

use crate::engine::TransportOptions;

/// Of each address's ports this share is used. Linux tries every other port first, and has to walk past all of them for a
/// connection beyond half: thousands of connections would each begin milliseconds late.
const USED: f64 = 0.4;

/// No load is spread further: only the last number of an address varies.
const MOST: u64 = 250;

/// Local addresses to send from, so that there may be `most` connections to `url` at once; none if the one that the system
/// chooses is enough, as for most loads. Some servers answer 127.0.0.1 alone.
///
/// Where there are several, 127.0.0.1 is one of them: a port that is bound at one address is not chosen by the system for
/// another, so that the two ways do not go together.
pub(crate) fn of(options: &TransportOptions, url: &str, most: u64) -> Vec<IpAddr> {
    // HTTP/2 has all requests on one connection; a proxy is who the connections go to.
    let spreads = !options.http2 && options.proxy.is_none() && stays_here(url);
    let Some(ports) = spreads.then(ports).flatten() else { return Vec::new() };
    let each = ((ports as f64 * USED) as u64).max(1);
    if most <= each {
        return Vec::new();
    }
    let wanted = most.div_ceil(each).min(MOST) as u8;
    (1..=wanted).map(|last| Ipv4Addr::new(127, 0, 0, last).into()).collect()
}

/// Whether connections to `url` stay within 127.0.0.0/8. A name is no address: `localhost` may mean `::1` as well, which is
/// one address only.
fn stays_here(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str()?.parse::<Ipv4Addr>().ok());
    host.is_some_and(|host| host.is_loopback())
}

/// Ports that the system gives to connections. Only Linux has all of 127.0.0.0/8 without having been told.
fn ports() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    count(&std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

/// Reads the system's "first last".
fn count(range: &str) -> Option<u64> {
    let (first, last) = range.trim().split_once(char::is_whitespace)?;
    let [first, last] = [first, last].map(|port| port.trim().parse::<u16>().ok());
    Some(u64::from(last?.checked_sub(first?)?) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_on_this_machine_has_further_addresses() {
        for (url, here) in [
            ("http://127.0.0.1:8000/v1/chat/completions", true),
            ("https://127.8.0.1/v1", true),
            ("http://localhost:8000/v1", false),
            ("http://[::1]:8000/v1", false),
            ("http://192.168.0.1/v1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(stays_here(url), here, "{url}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_more_for_each_that_runs_out_of_ports() {
        let options = TransportOptions::default();
        let url = "http://127.0.0.1:8000/v1";
        let each = (ports().unwrap() as f64 * USED) as u64;
        let none: [IpAddr; 0] = [];
        assert_eq!(of(&options, url, 0), none);
        assert_eq!(of(&options, url, each), none);
        assert_eq!(of(&options, url, each + 1), ["127.0.0.1", "127.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!(of(&options, url, each * 9).last().unwrap().to_string(), "127.0.0.9");
        assert_eq!(of(&options, url, u64::MAX).len(), 250);
        assert_eq!(of(&options, "http://10.0.0.1/v1", each * 9), none);
        assert_eq!(of(&TransportOptions { http2: true, ..options.clone() }, url, each * 9), none);
        assert_eq!(of(&TransportOptions { proxy: Some("http://127.0.0.1:1".into()), ..options }, url, each * 9), none);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn connections_leave_from_the_address_they_are_told() {
        use std::io::{Read as _, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, peer) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            peer.ip()
        });
        let address: IpAddr = "127.0.0.9".parse().unwrap();
        let transport = crate::engine::Transport::sending_from(&TransportOptions::default(), Some(address)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(transport.client.get(url).send()).unwrap().status(), 200);
        assert_eq!(server.join().unwrap(), address);
    }

    #[test]
    fn a_range_of_ports_is_counted_with_both_ends() {
        assert_eq!(count("32768\t60999\n"), Some(28_232));
        assert_eq!(count("1 1"), Some(1));
        for not in ["", "1", "2 1", "a b", "1 70000"] {
            assert_eq!(count(not), None, "{not}");
        }
    }
}
