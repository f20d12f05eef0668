//! A wire between a gateway and its database that breaks at commits.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::{Database, shared};

/// The message with which a client asks for a commit.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Where the wire breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never hears of the commit.
    Before,
    /// The commit happens, and the gateway never hears of it.
    After,
}

/// The wire. Dropped, it is cut for good.
pub struct Wire {
    port: u16,
    left: Arc<AtomicUsize>,
    served: JoinHandle<()>,
}

impl Wire {
    /// A wire to the shared server that breaks at so many commits, one after the other, once it is told to.
    pub async fn new(cut: Cut) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicUsize::new(0));
        let (socket, count) = (shared().folder().join(".s.PGSQL.5432"), left.clone());
        let served = tokio::spawn(async move {
            while let Ok((gateway, _)) = listener.accept().await {
                tokio::spawn(relay(gateway, socket.clone(), cut, count.clone()));
            }
        });
        Wire { port, left, served }
    }

    /// Breaks at the next commits.
    pub fn break_at(&self, commits: usize) {
        self.left.store(commits, Ordering::SeqCst);
    }

    /// How many of them are still to come.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// The address of a database behind it.
    pub fn url(&self, database: &Database) -> String {
        format!("postgres://{}@127.0.0.1:{}/{}", super::OWNER, self.port, database.0)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn relay(mut gateway: TcpStream, socket: PathBuf, cut: Cut, left: Arc<AtomicUsize>) {
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let (mut asked, mut said) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            got = gateway.read(&mut asked) => {
                let Ok(count @ 1..) = got else { return };
                let is_commit = asked[..count].windows(COMMIT.len()).any(|part| part == COMMIT);
                let less = |left: usize| left.checked_sub(1);
                let breaks = is_commit
                    && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
                if breaks && cut == Cut::Before {
                    return;
                }
                if server.write_all(&asked[..count]).await.is_err() {
                    return;
                }
                if breaks {
                    // The server has answered once there is something to read: the commit is over.
                    let _ = server.read(&mut said).await;
                    return;
                }
            }
            got = server.read(&mut said) => {
                let Ok(count @ 1..) = got else { return };
                if gateway.write_all(&said[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
