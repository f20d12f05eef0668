//! Addresses that a merchant may try: each spelling of what is not the internet.

use super::*;

#[test]
fn what_does_not_lead_to_the_internet_is_refused_in_every_spelling() {
    let refused = [
        // Loopback.
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.255.255.254/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0177.0.0.01/",
        "https://127.0.0.1./",
        "https://%31%32%37.0.0.1/",
        "https://１２７.０.０.１/",
        "https://127。0。0。1/",
        "https:127.0.0.1",
        "https:\\\\127.0.0.1\\",
        "https://[::1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        // IPv4 inside IPv6: mapped, compatible, translated, 6to4, Teredo.
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2002:a9fe:a9fe::]/",
        "https://[2001:0:7f00:1::]/",
        // Private networks.
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://0xc0a80101/",
        "https://100.64.0.1/",
        "https://100.127.255.255/",
        "https://[fc00::1]/",
        "https://[fd12:3456:789a::1]/",
        // Link-local and metadata services.
        "https://169.254.169.254/latest/meta-data/",
        "https://2852039166/",
        "https://0xa9.0xfe.0xa9.0xfe/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        // Unspecified, assignments, documentation, benchmarks, multicast, reserved, broadcast.
        "https://0.0.0.0/",
        "https://0/",
        "https://[::]/",
        "https://192.0.0.8/",
        "https://192.0.2.1/",
        "https://198.51.100.1/",
        "https://203.0.113.1/",
        "https://198.18.0.1/",
        "https://192.88.99.1/",
        "https://224.0.0.1/",
        "https://239.255.255.250/",
        "https://240.0.0.1/",
        "https://255.255.255.255/",
        "https://[ff02::1]/",
        "https://[2001:db8::1]/",
        "https://[3fff::1]/",
        "https://[5f00::1]/",
    ];
    for text in refused {
        let refusal = endpoint_url(text, false);
        assert_eq!(refusal, Err("must not lead into a private network"), "{text}");
    }
}

#[test]
fn an_address_is_https_to_a_host_and_nothing_else() {
    let rows = [
        ("http://shop.example/", "must be https"),
        ("ftp://shop.example/", "must be https"),
        ("file:///etc/passwd", "must be https"),
        ("gopher://127.0.0.1:6379/_x", "must be https"),
        ("javascript:alert(1)", "must be https"),
        ("data:text/plain,x", "must be https"),
        ("https://me@shop.example/", "must have no user and no password"),
        ("https://me:secret@shop.example/", "must have no user and no password"),
        ("https://shop.example@127.0.0.1/", "must have no user and no password"),
        ("https://shop.example/#here", "must have no fragment"),
        ("https://shop.example:22/", "must have port 443 or 8443"),
        ("https://shop.example:6379/", "must have port 443 or 8443"),
        ("https://shop.example:80/", "must have port 443 or 8443"),
        ("https://shop.example:0/", "must have port 443 or 8443"),
        ("https://shop.example /", "must have no spaces"),
        ("https://shop.exa\nmple/", "must have no spaces"),
        ("https://", "must be an address such as https://shop.example/hooks"),
        ("https://[::1%25lo]/", "must be an address such as https://shop.example/hooks"),
        ("https://999.1.1.1/", "must be an address such as https://shop.example/hooks"),
        ("https://shop.example:99999/", "must be an address such as https://shop.example/hooks"),
        ("shop.example/hooks", "must be an address such as https://shop.example/hooks"),
        ("", "must be an address such as https://shop.example/hooks"),
    ];
    for (text, rule) in rows {
        assert_eq!(endpoint_url(text, false), Err(rule), "{text:?}");
    }
    let long = format!("https://shop.example/{}", "x".repeat(LONGEST_URL));
    assert_eq!(endpoint_url(&long, false), Err("must have 2048 bytes or fewer"));
    for text in
        ["https://shop.example", "https://shop.example:8443/hooks?of=me", "https://8.8.8.8/"]
    {
        assert!(endpoint_url(text, false).is_ok(), "{text}");
    }
    assert!(endpoint_url("https://[2606:4700::1111]/", false).is_ok());
}

#[test]
fn an_operator_can_let_this_network_be_called_but_no_metadata_service() {
    let allowed = [
        "http://127.0.0.1:3000/hooks",
        "http://[::1]:3000/",
        "http://shop.internal:8080/",
        "https://10.0.0.1:9443/",
        "https://[fd12:3456:789a::1]/",
        "https://shop.example/",
    ];
    for text in allowed {
        assert!(endpoint_url(text, true).is_ok(), "{text}");
    }
    let refused = [
        "https://169.254.169.254/",
        "http://169.254.169.254/",
        "https://[fd00:ec2::254]/",
        "https://100.100.100.200/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]/",
    ];
    for text in refused {
        assert_eq!(endpoint_url(text, true), Err("must not lead into a private network"), "{text}");
    }
}

#[test]
fn what_is_sent_in_the_clear_stays_in_this_network() {
    let reach = |text, private| reach(&Url::parse(text).unwrap(), private);
    assert_eq!(reach("https://a/", false), Reach::Public);
    assert_eq!(reach("https://a/", true), Reach::Anywhere);
    assert_eq!(reach("http://a/", true), Reach::Private);
    let (public, own) = (IpAddr::from([8, 8, 8, 8]), IpAddr::from([10, 0, 0, 1]));
    let rows = [
        (Reach::Public, true, false),
        (Reach::Anywhere, true, true),
        (Reach::Private, false, true),
    ];
    for (reach, calls_public, calls_own) in rows {
        assert_eq!((reach.allows(public), reach.allows(own)), (calls_public, calls_own));
    }
}
