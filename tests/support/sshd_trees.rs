//! Trees of `sshd_config` as administrators and guides write them.

/// One tree and the connections it is asked about.
pub(crate) struct Tree {
    pub(crate) text: &'static str,
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) connections: &'static [&'static str],
}

/// What Debian ships.
const DEBIAN: &str = "Include {dir}/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\nSubsystem\tsftp\t/usr/lib/openssh/sftp-server\n";

/// Nothing is known of the connection.
const ANY: [&str; 1] = ["lport=22"];

/// Root and another user, from near and from far.
const CLUSTER: [&str; 4] = [
    "lport=22",
    "user=root,host=a.example,addr=10.1.2.3,laddr=10.0.0.1,lport=22",
    "user=root,host=b.test,addr=2001:db8::1,laddr=2001:db8::2,lport=2222",
    "user=daemon,host=c.example,addr=192.0.2.9,laddr=192.0.2.1,lport=22",
];

pub(crate) const TREES: &[Tree] = &[
    // As Debian ships it
    Tree { text: DEBIAN, files: &[], connections: &ANY },
    // What the installer of Proxmox VE leaves
    Tree {
        text: "Include {dir}/*.conf\nPermitRootLogin yes\nKbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
        files: &[],
        connections: &CLUSTER,
    },
    // A drop-in comes before the file
    Tree {
        text: DEBIAN,
        files: &[("10-root.conf", "PermitRootLogin prohibit-password\nPasswordAuthentication no\n")],
        connections: &CLUSTER,
    },
    // 10 sorts before 9
    Tree {
        text: DEBIAN,
        files: &[("10-a.conf", "PermitRootLogin no\n"), ("9-b.conf", "PermitRootLogin yes\n")],
        connections: &ANY,
    },
    // Upper case sorts before lower
    Tree {
        text: DEBIAN,
        files: &[("Z.conf", "LogLevel VERBOSE\n"), ("a.conf", "LogLevel QUIET\n")],
        connections: &ANY,
    },
    // A name that does not end in conf
    Tree {
        text: DEBIAN,
        files: &[("10-a.conf.bak", "PermitRootLogin yes\n"), ("20-b.conf", "X11Forwarding no\n")],
        connections: &ANY,
    },
    // Root only from the cluster
    Tree {
        text: DEBIAN,
        files: &[(
            "10-root.conf",
            "PermitRootLogin no\nMatch Address 10.0.0.0/8\n  PermitRootLogin prohibit-password\n",
        )],
        connections: &CLUSTER,
    },
    // Root only from the cluster, both families
    Tree {
        text: DEBIAN,
        files: &[(
            "10-root.conf",
            "PermitRootLogin no\nMatch Address 10.0.0.0/8,2001:db8::/32\n  PermitRootLogin yes\n",
        )],
        connections: &CLUSTER,
    },
    // Everywhere but the cluster
    Tree {
        text: DEBIAN,
        files: &[(
            "10-root.conf",
            "PermitRootLogin prohibit-password\nMatch Address *,!10.0.0.0/8\n  PermitRootLogin no\n",
        )],
        connections: &CLUSTER,
    },
    // A negated address alone never fits
    Tree {
        text: DEBIAN,
        files: &[("10-root.conf", "Match Address !10.0.0.0/8\n  PermitRootLogin no\n")],
        connections: &CLUSTER,
    },
    // A negated user alone never fits
    Tree {
        text: DEBIAN,
        files: &[("10-a.conf", "Match User !root\n  PasswordAuthentication no\n")],
        connections: &CLUSTER,
    },
    // Everybody but root
    Tree {
        text: DEBIAN,
        files: &[(
            "10-a.conf",
            "Match User *,!root\n  PasswordAuthentication no\n  AuthenticationMethods publickey\n",
        )],
        connections: &CLUSTER,
    },
    // A Match ends with its file
    Tree {
        text: DEBIAN,
        files: &[
            ("10-a.conf", "Match User daemon\n  X11Forwarding no\n"),
            ("20-b.conf", "AllowTcpForwarding no\n"),
        ],
        connections: &CLUSTER,
    },
    // A block at the end of a drop-in does not reach the main file
    Tree { text: DEBIAN, files: &[("10-a.conf", "Match all\n")], connections: &ANY },
    // What follows Match is swallowed
    Tree {
        text: "UsePAM yes\nMatch User daemon\nPermitRootLogin no\nPasswordAuthentication no\n",
        files: &[],
        connections: &CLUSTER,
    },
    // A setting that Match does not take
    Tree { text: "Match User daemon\nUsePAM yes\n", files: &[], connections: &ANY },
    // A port in a Match block
    Tree { text: "Match Address 10.0.0.0/8\nPort 2222\n", files: &[], connections: &ANY },
    // Match all in the middle
    Tree {
        text: "PermitRootLogin yes\nMatch all\nPermitRootLogin no\nX11Forwarding yes\n",
        files: &[],
        connections: &CLUSTER,
    },
    // The first fitting block wins
    Tree {
        text: "Match User root\nPermitRootLogin no\nMatch Address 10.0.0.0/8\nPermitRootLogin yes\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Blocks give what others leave open
    Tree {
        text: "Match User root\nPermitRootLogin no\nMatch Address 10.0.0.0/8\nPermitRootLogin yes\nMaxSessions 2\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Lists of blocks add up and replace the global ones
    Tree {
        text: "AllowUsers eve\nMatch User root\nAllowUsers root@10.0.0.0/8\nMatch Address 10.0.0.0/8\nAllowUsers admin\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Groups
    Tree {
        text: "Match Group root\nForceCommand /bin/menu\nMatch Group daemon,nogroup\nPermitTTY no\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Groups that are refused
    Tree { text: "Match Group *,!root\nPermitTTY no\n", files: &[], connections: &CLUSTER },
    // Hosts by name
    Tree {
        text: "Match Host *.example,!a.example\nPermitTTY no\nMatch Host A.EXAMPLE\nX11Forwarding yes\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Where it was connected to
    Tree {
        text: "Match LocalAddress 10.0.0.1 LocalPort 22\nPermitRootLogin no\nMatch LocalPort 2222\nPermitRootLogin yes\n",
        files: &[],
        connections: &CLUSTER,
    },
    // An address with host bits
    Tree { text: "Match Address 10.0.10.5/24\nPermitRootLogin no\n", files: &[], connections: &ANY },
    // An address with wildcards
    Tree {
        text: "Match Address 10.1.*\nPermitRootLogin no\nMatch Address 2001:db8:*\nPermitRootLogin yes\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Users at addresses
    Tree {
        text: "AllowUsers root@10.0.0.0/8 *@192.0.2.? admin\nDenyUsers eve mallory@*\n",
        files: &[],
        connections: &ANY,
    },
    // Users at addresses with host bits
    Tree { text: "AllowUsers root@10.0.0.5/8\n", files: &[], connections: &ANY },
    // Groups in lists
    Tree {
        text: "AllowGroups root ssh-users\nDenyGroups nologin\nAllowGroups more\n",
        files: &[],
        connections: &ANY,
    },
    // The same list on many lines
    Tree {
        text: "AllowUsers a b\nAllowUsers c\nAcceptEnv LANG\nAcceptEnv LC_* X?\n",
        files: &[],
        connections: &ANY,
    },
    // Ports and addresses
    Tree {
        text: "Port 22\nPort 2222\nListenAddress 10.0.0.1\nListenAddress [::1]:2200\nListenAddress 192.0.2.7:22\n",
        files: &[],
        connections: &ANY,
    },
    // One family
    Tree {
        text: "AddressFamily inet\nPort 2222\nListenAddress 10.0.0.1:22\n",
        files: &[],
        connections: &ANY,
    },
    // Methods with a second factor
    Tree {
        text: "UsePAM yes\nAuthenticationMethods publickey,keyboard-interactive:pam publickey,password\n",
        files: &[],
        connections: &ANY,
    },
    // Methods that are switched off
    Tree {
        text: "PasswordAuthentication no\nAuthenticationMethods publickey,password\n",
        files: &[],
        connections: &ANY,
    },
    // Methods in a block
    Tree {
        text: "AuthenticationMethods publickey,password\nMatch User root Address 10.0.0.0/8\nAuthenticationMethods publickey\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Methods, then any
    Tree {
        text: "AuthenticationMethods publickey\nAuthenticationMethods any\n",
        files: &[],
        connections: &ANY,
    },
    // A hardened Debian 12 server
    Tree {
        text: "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,diffie-hellman-group16-sha512\nCiphers aes256-gcm@openssh.com,aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com\nHostKeyAlgorithms ssh-ed25519,rsa-sha2-512\nRequiredRSASize 3072\n",
        files: &[],
        connections: &ANY,
    },
    // Algorithms taken away
    Tree {
        text: "KexAlgorithms -diffie-hellman-*,ecdh-*\nCiphers -*cbc,chacha20*\nMACs -umac-64*,hmac-sha1*\nHostKeyAlgorithms -ecdsa-*\n",
        files: &[],
        connections: &ANY,
    },
    // Algorithms put in front
    Tree {
        text: "KexAlgorithms ^mlkem768x25519-sha256\nCiphers ^aes256-gcm@openssh.com\nHostKeyAlgorithms ^rsa-sha2-512\n",
        files: &[],
        connections: &ANY,
    },
    // Algorithms of old clients
    Tree {
        text: "KexAlgorithms +diffie-hellman-group14-sha1,diffie-hellman-group1-sha1\nCiphers +aes256-cbc\nMACs +hmac-sha1\nHostKeyAlgorithms +ssh-rsa\n",
        files: &[],
        connections: &ANY,
    },
    // Signatures of old clients
    Tree {
        text: "PubkeyAcceptedAlgorithms +ssh-rsa\nHostKeyAlgorithms +ssh-rsa\n",
        files: &[],
        connections: &ANY,
    },
    // Signatures of old clients by the old names
    Tree {
        text: "PubkeyAcceptedKeyTypes +ssh-rsa\nHostbasedAcceptedKeyTypes -ecdsa*\n",
        files: &[],
        connections: &ANY,
    },
    // Signatures for one address
    Tree {
        text: "Match Address 10.0.0.0/8\nPubkeyAcceptedKeyTypes +ssh-rsa\n",
        files: &[],
        connections: &CLUSTER,
    },
    // An algorithm that does not exist
    Tree { text: "Ciphers aes256-ctr,aes512-ctr\n", files: &[], connections: &ANY },
    // Keys that are gone
    Tree { text: "HostKeyAlgorithms ssh-ed25519,ssh-dss\n", files: &[], connections: &ANY },
    // Keyboard and challenge
    Tree { text: "ChallengeResponseAuthentication no\nUsePAM yes\n", files: &[], connections: &ANY },
    // Challenge, then keyboard
    Tree {
        text: "ChallengeResponseAuthentication no\nKbdInteractiveAuthentication yes\n",
        files: &[],
        connections: &ANY,
    },
    // Challenge in a block
    Tree { text: "Match User root\nChallengeResponseAuthentication no\n", files: &[], connections: &CLUSTER },
    // Keys elsewhere
    Tree {
        text: "AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys\nAuthorizedKeysFile none\n",
        files: &[],
        connections: &ANY,
    },
    // Keys from a command
    Tree {
        text: "AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys %u\nAuthorizedKeysCommandUser nobody\n",
        files: &[],
        connections: &ANY,
    },
    // Keys from a command without a user
    Tree {
        text: "AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys %u\n",
        files: &[],
        connections: &ANY,
    },
    // Certificates
    Tree {
        text: "TrustedUserCAKeys /etc/ssh/ca.pub\nAuthorizedPrincipalsFile /etc/ssh/principals/%u\nRevokedKeys /etc/ssh/revoked\nHostCertificate /etc/ssh/host-cert.pub\n",
        files: &[],
        connections: &ANY,
    },
    // Only files by sftp
    Tree {
        text: "Subsystem sftp internal-sftp -f AUTH -l INFO\nMatch Group daemon\nChrootDirectory /srv/sftp/%u\nForceCommand internal-sftp\nAllowTcpForwarding no\nX11Forwarding no\n",
        files: &[],
        connections: &CLUSTER,
    },
    // A subsystem twice
    Tree { text: "Subsystem sftp /a\nSubsystem sftp /b\n", files: &[], connections: &ANY },
    // A subsystem in a block
    Tree {
        text: "Subsystem sftp /a\nMatch User root\nSubsystem sftp internal-sftp\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Idle sessions end
    Tree {
        text: "ClientAliveInterval 5m\nClientAliveCountMax 0\nTCPKeepAlive no\nLoginGraceTime 1m\nMaxAuthTries 3\nMaxSessions 4\nMaxStartups 10:30:60\n",
        files: &[],
        connections: &ANY,
    },
    // Startups twice
    Tree { text: "MaxStartups 10:30:60\nMaxStartups 4\n", files: &[], connections: &ANY },
    // Sources
    Tree {
        text: "PerSourceMaxStartups 3\nPerSourceNetBlockSize 24:56\nPerSourceNetBlockSize 32:64\n",
        files: &[],
        connections: &ANY,
    },
    // Penalties
    Tree {
        text: "PerSourcePenalties authfail:10s noauth:5s max:1h\nPerSourcePenaltyExemptList 10.0.0.0/8,2001:db8::/32\n",
        files: &[],
        connections: &ANY,
    },
    // Unused connections
    Tree {
        text: "UnusedConnectionTimeout 5m\nChannelTimeout session=1h x11-connection=5m\n",
        files: &[],
        connections: &ANY,
    },
    // Forwarding off
    Tree {
        text: "DisableForwarding yes\nAllowTcpForwarding no\nAllowStreamLocalForwarding no\nAllowAgentForwarding no\nPermitTunnel no\nGatewayPorts no\nX11Forwarding no\n",
        files: &[],
        connections: &ANY,
    },
    // Forwarding to some places
    Tree {
        text: "AllowTcpForwarding local\nPermitOpen 10.0.0.1:5900 [::1]:*\nPermitListen localhost:*\nMatch User root\nPermitOpen any\n",
        files: &[],
        connections: &CLUSTER,
    },
    // The environment
    Tree {
        text: "PermitUserEnvironment LANG,LC_*\nSetEnv A=1 B=2\nPermitUserRC no\nMatch User root\nSetEnv C=3\n",
        files: &[],
        connections: &CLUSTER,
    },
    // No is a pattern
    Tree { text: "PermitUserEnvironment No\n", files: &[], connections: &ANY },
    // Comments behind values
    Tree {
        text: "PermitRootLogin no # never\nMaxAuthTries 3 # three\nBanner /etc/issue#net\n",
        files: &[],
        connections: &ANY,
    },
    // A comment glued to a number
    Tree { text: "MaxAuthTries 3#three\n", files: &[], connections: &ANY },
    // Quotes
    Tree {
        text: "AllowGroups \"domain users\" 'other group'\nBanner \"/etc/my issue\"\n",
        files: &[],
        connections: &ANY,
    },
    // Backslashes
    Tree { text: "AllowGroups domain\\ users\nBanner /etc/my\\ issue\n", files: &[], connections: &ANY },
    // Equals signs
    Tree { text: "PermitRootLogin=no\nPort = 2222\nBanner==x\n", files: &[], connections: &ANY },
    // Windows line ends
    Tree { text: "PermitRootLogin no\r\nX11Forwarding no\r\n", files: &[], connections: &ANY },
    // A byte order mark
    Tree { text: "\u{feff}PermitRootLogin no\n", files: &[], connections: &ANY },
    // A keyword that does not exist
    Tree { text: "PermitRootLogin no\nPermitRootLogn yes\n", files: &[], connections: &ANY },
    // What is no more
    Tree {
        text: "Protocol 2\nUsePrivilegeSeparation sandbox\nKeyRegenerationInterval 1h\nServerKeyBits 1024\nUseLogin no\nRSAAuthentication yes\n",
        files: &[],
        connections: &ANY,
    },
    // What 10.0 brought
    Tree {
        text: "RefuseConnection no\nPAMServiceName sshd-admin\nSshdSessionPath /usr/lib/openssh/sshd-session\n",
        files: &[],
        connections: &ANY,
    },
    // What 9.2 brought
    Tree {
        text: "RequiredRSASize 2048\nModuliFile /etc/ssh/moduli.safe\nLogVerbose kex.c:*:1000\n",
        files: &[],
        connections: &ANY,
    },
    // Users who do not exist
    Tree { text: "Match invalid-user\nPasswordAuthentication no\n", files: &[], connections: &CLUSTER },
    // Criteria with equals signs
    Tree {
        text: "Match User=root Address=10.0.0.0/8\nPermitRootLogin no\n",
        files: &[],
        connections: &CLUSTER,
    },
    // Criteria twice
    Tree {
        text: "Match Address 10.0.0.0/8 Address 10.1.0.0/16\nPermitRootLogin no\n",
        files: &[],
        connections: &CLUSTER,
    },
    // An Include in a block
    Tree {
        text: "PermitRootLogin no\nMatch Address 10.0.0.0/8\nInclude {dir}/cluster.conf\nMatch all\nMaxSessions 3\n",
        files: &[(
            "cluster.conf",
            "PermitRootLogin prohibit-password\nMatch User daemon\nPermitRootLogin no\nMatch all\nX11Forwarding yes\n",
        )],
        connections: &CLUSTER,
    },
    // An Include at the end
    Tree {
        text: "PermitRootLogin yes\nPasswordAuthentication yes\nInclude {dir}/*.conf\n",
        files: &[("99-late.conf", "PermitRootLogin no\nAllowUsers root\n")],
        connections: &ANY,
    },
    // Files that include each other
    Tree {
        text: "Include {dir}/a.conf\n",
        files: &[("a.conf", "Include {dir}/b.conf\n"), ("b.conf", "Include {dir}/a.conf\n")],
        connections: &ANY,
    },
    // A banner below a tilde and commands
    Tree {
        text: "Banner none\nForceCommand /bin/x \"a b\" # c\nVersionAddendum Debian # x\n",
        files: &[],
        connections: &ANY,
    },
    // Hosts that are trusted
    Tree {
        text: "HostbasedAuthentication yes\nIgnoreRhosts shosts-only\nHostbasedUsesNameFromPacketOnly yes\nIgnoreUserKnownHosts yes\n",
        files: &[],
        connections: &ANY,
    },
    // Tickets
    Tree {
        text: "GSSAPIAuthentication yes\nGSSAPIKeyExchange yes\nGSSAPIStrictAcceptorCheck no\nKerberosAuthentication no\nGSSAPIKexAlgorithms gss-curve25519-sha256-\n",
        files: &[],
        connections: &ANY,
    },
];
