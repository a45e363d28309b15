//! Which places have issues and remarks.

use super::*;

#[test]
fn every_dropped_place_has_a_line_and_a_code() {
    use codes::*;
    let cases = [
        ("# user:a@pve:1:", UNKNOWN_LINE),
        ("group:g::a:b:", SURPLUS_FIELDS),
        ("user:joe:1:", INVALID_USER),
        ("user:root@pam:1:\nuser:root@pam:1:", DUPLICATE_USER),
        ("user:a@pve:1:soon:", INVALID_EXPIRY),
        ("token:root@pam!tt:soon:", INVALID_EXPIRY),
        ("token:root@pam:", INVALID_TOKEN),
        ("token:a@pve!tt:", TOKEN_WITHOUT_USER),
        ("group:a/b:", INVALID_GROUP),
        ("group:g:joe:", INVALID_MEMBER),
        ("pool:a//b:", INVALID_POOL),
        ("pool:p::x:", INVALID_GUEST),
        ("pool:p::100,0100:", DUPLICATE_GUEST),
        ("pool:p:::1:", INVALID_STORAGE),
        ("role:a/b:", INVALID_ROLE),
        ("acl:1::root@pam:PVEAdmin:", INVALID_PATH),
        ("acl:1:/:root@pam:a/b:", INVALID_ACL_ROLE),
        ("acl:1:/:root@pam:Gone:", UNKNOWN_ROLE),
        ("acl:1:/:joe:PVEAdmin:", INVALID_SUBJECT),
        ("acl:1:/:root@pam!tt:PVEAdmin:", UNKNOWN_TOKEN),
        ("group:g:à@pve:", SPLIT_LETTER),
    ];
    for (text, code) in cases {
        let line = u32::try_from(text.lines().count()).unwrap();
        assert_eq!(issue_codes(text), [(line, code)], "{text}");
    }
    for code in ISSUES.into_iter().filter(|code| *code != TOO_MANY_ENTRIES) {
        assert!(cases.iter().any(|(_, of)| *of == code), "{code} has no case");
    }
}

#[test]
fn every_suspicious_place_has_a_line_and_a_code_and_is_no_doubt() {
    use codes::*;
    let cases = [
        ("group:g:a@pve:", UNKNOWN_MEMBER),
        ("acl:1:/:a@pve:PVEAdmin,PVEAuditor:", DANGLING_SUBJECT),
        ("acl:1:/:@g:PVEAdmin:", DANGLING_SUBJECT),
        ("acl:1:/:root@pam:PVEAdmin:", ACL_FOR_ROOT),
        ("group:g:\nacl:1:/pools/x:@g:PVEAdmin:", DEAD_PATH),
        ("group:g:\nacl:1:/:@g:PVEAdmin:\nacl:0:/:@g:PVEAdmin:", CONTRADICTING_ACL),
        ("role:R:VM.Monitor:", UNKNOWN_PRIVILEGE),
        ("role:NoAccess:", BUILTIN_ROLE),
        ("user:j\u{10fef6}rg@pve:1:", NOT_UTF_8),
        ("token:root@pam!tt:\ntoken:root@pam!tt:", DUPLICATE_TOKEN),
        ("group:g:\ngroup:g:", DUPLICATE_GROUP),
        ("pool:p:\npool:p:", DUPLICATE_POOL),
        ("role:R:\nrole:R:", DUPLICATE_ROLE),
    ];
    for (text, code) in cases {
        let line = u32::try_from(text.lines().count()).unwrap();
        assert_eq!((remark_codes(text), issue_codes(text)), (vec![(line, code)], vec![]), "{text}");
    }
    for code in REMARKS {
        assert!(cases.iter().any(|(_, of)| *of == code), "{code} has no case");
    }
}

#[test]
fn a_file_as_the_api_writes_it_has_no_remark() {
    let text = "user:a@pve:1:0::::::\ntoken:a@pve!tt:0:1::\n\ngroup:g:a@pve::\n\npool:p/q:::\npool:p:::\n\n\
                role:R:VM.Audit:\n\nacl:1:/vms/100:@g,a@pve,a@pve!tt:R:\n";
    assert_eq!((remark_codes(text), issue_codes(text)), (vec![], vec![]));
}

#[test]
fn codes_are_words_joined_by_hyphens_and_each_is_used_once() {
    let all: Vec<&str> = codes::ISSUES.into_iter().chain(codes::REMARKS).collect();
    assert!(
        all.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
    );
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}
