#!/usr/bin/env python3
"""Makes the databases of this folder with SQLite itself, as pmxcfs does. Run it in this folder; the result is checked in.

    pve8-cluster.db      tests/hosts/pve8-cluster/etc/pve, cleanly closed
    node.db, node.db-wal a node that runs: most of the content is in the log only, its end left from an older use;
                         rows that were deleted
    overflow.db          a file of 100 KB on overflow pages, and free pages of one that was deleted
    columns.db           the columns in another order, with comments of SQL and quotes
"""
import os
import shutil
import sqlite3

SCHEMA = ("CREATE TABLE IF NOT EXISTS tree (  inode INTEGER PRIMARY KEY NOT NULL,"
          "  parent INTEGER NOT NULL CHECK(typeof(parent)=='integer'),"
          "  version INTEGER NOT NULL CHECK(typeof(version)=='integer'),"
          "  writer INTEGER NOT NULL CHECK(typeof(writer)=='integer'),"
          "  mtime INTEGER NOT NULL CHECK(typeof(mtime)=='integer'),"
          "  type INTEGER NOT NULL CHECK(typeof(type)=='integer'),"
          "  name TEXT NOT NULL,  data BLOB);")
OWN = {"local", "qemu-server", "openvz", "lxc", ".version", ".members", ".vmlist", ".rrd", ".clusterlog", ".debug"}
MTIME = 1700000000


def create(path, schema=SCHEMA, page_size=4096):
    for end in ("", "-wal", "-shm"):
        if os.path.exists(path + end):
            os.remove(path + end)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA page_size={page_size}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(schema)
    return db


class Writer:
    def __init__(self, db):
        self.db, self.version, self.inodes = db, 0, {"": 0}

    def put(self, path, data=None, folder=False):
        self.version += 1
        above, _, name = path.rpartition("/")
        inode = self.inodes.setdefault(path, self.version)
        self.db.execute("BEGIN")
        kind = 4 if folder else 8
        row = (inode, self.inodes[above], self.version, 1, MTIME + self.version, kind, name, data or None)
        self.db.execute("REPLACE INTO tree (inode, parent, version, writer, mtime, type, name, data) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.stamp()

    def stamp(self):
        self.db.execute("REPLACE INTO tree (inode, parent, version, writer, mtime, type, name, data) "
                        "VALUES (0, 0, ?, 1, ?, 8, '__version__', NULL)", (self.version, MTIME + self.version))
        self.db.execute("COMMIT")

    def delete(self, path):
        self.version += 1
        self.db.execute("BEGIN")
        self.db.execute("DELETE FROM tree WHERE inode = ?", (self.inodes.pop(path),))
        self.stamp()


def pack(tree, path):
    """The files below `tree` as a database that was closed."""
    db = create(path, page_size=1024)
    writer = Writer(db)
    for folder, folders, files in sorted(os.walk(tree)):
        below = os.path.relpath(folder, tree)
        prefix = "" if below == "." else below + "/"
        folders.sort()
        for name in folders:
            if not os.path.islink(os.path.join(folder, name)):
                writer.put(prefix + name, folder=True)
        for name in sorted(files):
            whole = os.path.join(folder, name)
            if not os.path.islink(whole) and not (prefix == "" and name in OWN):
                with open(whole, "rb") as file:
                    writer.put(prefix + name, file.read())
    db.close()


def node():
    db = create("live.db", page_size=512)
    db.execute("PRAGMA wal_autocheckpoint=0")
    writer = Writer(db)
    writer.put("user.cfg", b"user:old@pve:1:0:::::\n")
    for folder in ("priv", "nodes", "nodes/a", "nodes/a/qemu-server", "nodes/a/lxc"):
        writer.put(folder, folder=True)
    for number in range(40):
        writer.put(f"nodes/a/lxc/{100 + number}.conf", b"hostname: a\n")
    writer.put("gone.cfg", b"gone\n" * 100)
    db.execute("PRAGMA wal_checkpoint(RESTART)")
    # The log is used again from its start; what is behind is left from before.
    writer.put("user.cfg", b"user:new@pve:1:0:::::\n")
    writer.put("nodes/a/qemu-server/200.conf", b"name: b\n")
    for number in range(20, 40):
        writer.delete(f"nodes/a/lxc/{100 + number}.conf")
    writer.delete("gone.cfg")
    for end in ("", "-wal"):
        shutil.copyfile("live.db" + end, "node.db" + end)
    db.close()
    os.remove("live.db")


def overflow():
    db = create("overflow.db")
    writer = Writer(db)
    writer.put("gone.cfg", b"gone\n" * 4000)
    writer.put("virtual-guest", folder=True)
    writer.put("large.txt", b"".join(b"%07d\n" % line for line in range(12500)))
    writer.delete("gone.cfg")
    db.close()


def columns():
    db = create("columns.db", "create table \"Tree\" ([data] BLOB, `name` TEXT NOT NULL CHECK(name <> ',)'), "
                "\"type\" INTEGER NOT NULL, mtime INTEGER, writer INTEGER, version INTEGER NOT NULL, "
                "parent INTEGER NOT NULL, inode INTEGER PRIMARY KEY, CHECK(typeof(parent)=='integer'))", 512)
    writer = Writer(db)
    writer.put("priv", folder=True)
    writer.put("priv/shadow.cfg", b"root@pam:\n")
    db.close()


if __name__ == "__main__":
    pack("../../hosts/pve8-cluster/etc/pve", "pve8-cluster.db")
    node()
    overflow()
    columns()
