use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn machine() -> Vec<Interface> {
    let all = [
        ("lo", "127.0.0.1"),
        ("lo", "::1"),
        ("docker0", "172.17.0.1"),
        ("br-0123456789ab", "172.18.0.1"),
        ("vethab12", "fe80::1"),
        ("eth0", "fe80::2"),
        ("eth0", "2001:db8::5"),
        ("eth0", "192.0.2.5"),
        ("usb0", "169.254.3.4"),
        ("wlan0", "192.0.2.5"),
    ];
    all.map(|(name, address)| Interface { name: name.to_owned(), address: ip(address) }).into()
}

fn chosen(configured: &[&str], host: Option<&str>) -> Vec<String> {
    let configured: Vec<IpAddr> = configured.iter().map(|text| ip(text)).collect();
    choose(&configured, host, &machine(), Families::Both).iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_configured_goes_before_all_else() {
    assert_eq!(chosen(&["203.0.113.7"], Some("192.0.2.9:8080")), ["203.0.113.7"]);
    assert_eq!(chosen(&["2001:db8::9", "203.0.113.7", "203.0.113.7"], None), ["203.0.113.7", "2001:db8::9"]);
}

#[test]
fn an_address_that_was_dialled_is_one_that_works() {
    for (host, address) in [
        ("192.0.2.9", "192.0.2.9"),
        ("192.0.2.9:8080", "192.0.2.9"),
        (" 192.0.2.9:8080 ", "192.0.2.9"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[::ffff:192.0.2.9]:443", "192.0.2.9"),
        ("127.0.0.1:8080", "127.0.0.1"),
    ] {
        assert_eq!(chosen(&[], Some(host)), [address], "{host}");
    }
    for host in ["localhost", "LOCALHOST:8080"] {
        assert_eq!(chosen(&[], Some(host)), ["127.0.0.1", "::1"], "{host}");
    }
}

#[test]
fn a_name_means_the_interfaces_that_lead_outside() {
    let outside = ["192.0.2.5", "2001:db8::5"];
    for host in [
        "example.org",
        "example.org:8080",
        "",
        ":",
        "[",
        "]",
        "[]:1",
        "0.0.0.0",
        "224.0.0.1:1",
        "255.255.255.255",
        "[::]:80",
        "localhost.example",
    ] {
        assert_eq!(chosen(&[], Some(host)), outside, "{host}");
    }
    assert_eq!(chosen(&[], None), outside);
}

#[test]
fn what_the_port_cannot_be_reached_at_is_left_out() {
    assert_eq!(Families::of(ip("::")), Families::Both);
    let families = Families::of(ip("0.0.0.0"));
    let chosen = |configured: &[IpAddr], host| choose(configured, host, &machine(), families);
    assert_eq!(chosen(&[], Some("localhost:8080")), [ip("127.0.0.1")]);
    assert_eq!(chosen(&[], Some("[2001:db8::1]:8080")), [ip("192.0.2.5")]);
    assert_eq!(chosen(&[], None), [ip("192.0.2.5")]);
    assert_eq!(chosen(&[ip("2001:db8::9")], None), [ip("2001:db8::9")], "the operator knows");
}

#[test]
fn a_machine_without_a_network_is_reached_from_itself() {
    let lonely: Vec<Interface> = machine().into_iter().take(2).collect();
    assert_eq!(choose(&[], None, &lonely, Families::Both), [ip("127.0.0.1")]);
    assert_eq!(choose(&[], None, &[], Families::Both), [ip("127.0.0.1")]);
}

#[test]
fn an_answer_has_few_addresses() {
    let many: Vec<Interface> = (1..100)
        .map(|n| Interface { name: "eth0".to_owned(), address: Ipv4Addr::new(10, 0, 0, n).into() })
        .collect();
    assert_eq!(choose(&[], None, &many, Families::Both).len(), MOST);
}

#[test]
fn the_system_tells_its_interfaces() {
    assert!(interfaces().iter().any(|interface| interface.address.is_loopback()), "no loopback interface");
}
