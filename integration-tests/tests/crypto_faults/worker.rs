//! A caller that changes keys and accounts of its own, and one key that all share, and remembers what it was told.

use anyhow::{Context, Result, bail, ensure};
use integration_tests::{
    admin::reason,
    crypto::{Client, Crypto},
};
use patchbay_proto::crypto::v1::{
    CreateAccountRequest, CreateKeyRequest, DeleteAccountRequest, EncryptRequest, KeyType, RewrapRequest,
    RotateKeyRequest, UpdateAccountRequest, accounts_client::AccountsClient, admin_client::AdminClient,
    data_client::DataClient, keys_client::KeysClient,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status, codegen::Bytes};

/// The key that all rotate.
pub(crate) const SHARED: &str = "shared";

/// Longest a call may take.
const CALL: Duration = Duration::from_secs(10);

/// Clients of one replica.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) keys: KeysClient<Client>,
    pub(crate) data: DataClient<Client>,
    pub(crate) accounts: AccountsClient<Client>,
    pub(crate) admin: AdminClient<Client>,
}

impl Clients {
    pub(crate) fn connect(replica: &Crypto, token: &str) -> Result<Self> {
        let client = replica.client(token)?;
        Ok(Self {
            keys: KeysClient::new(client.clone()),
            data: DataClient::new(client.clone()),
            accounts: AccountsClient::new(client.clone()),
            admin: AdminClient::new(client),
        })
    }
}

/// What all workers share.
#[derive(Default)]
pub(crate) struct Course {
    pub(crate) acknowledged: AtomicU64,
    /// Calls whose outcome nobody was told.
    pub(crate) cut_off: AtomicU64,
    pub(crate) stop: AtomicBool,
    pub(crate) progress: Notify,
    pub(crate) shared: Mutex<SharedKey>,
    failed: AtomicBool,
}

impl Course {
    /// Whether a worker has seen what must not be.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Rotations of the shared key since it was last compared.
pub(crate) struct SharedKey {
    pub(crate) settled: u32,
    pub(crate) acknowledged: u32,
    /// Newest version that anybody was told.
    pub(crate) newest: u32,
    pub(crate) unknown: u32,
}

impl Default for SharedKey {
    fn default() -> Self {
        Self { settled: 1, acknowledged: 0, newest: 1, unknown: 0 }
    }
}

/// What is known of a key.
pub(crate) struct OwnKey {
    pub(crate) name: String,
    /// Newest version that was told; 0 when not even the making was.
    pub(crate) latest: u32,
    /// Calls since then that may each have made one more.
    pub(crate) unknown: u32,
    pub(crate) sealed: Vec<Sealed>,
}

/// A ciphertext that was given out.
pub(crate) struct Sealed {
    pub(crate) ciphertext: Bytes,
    pub(crate) plaintext: Bytes,
    pub(crate) version: u32,
    pub(crate) is_checked: bool,
}

/// What an account is like; `None` where there is none.
pub(crate) type State = Option<(String, bool)>;

/// What is known of an account.
pub(crate) struct OwnAccount {
    pub(crate) name: String,
    /// The last that was acknowledged, and then what may have been done since.
    pub(crate) possible: Vec<State>,
}

/// The caller.
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) keys: Vec<OwnKey>,
    pub(crate) accounts: Vec<OwnAccount>,
    step: usize,
}

/// What became of a call.
enum Outcome<T> {
    Done(T),
    /// The process died, or the connection.
    Unknown,
    /// Nothing was changed.
    Refused,
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL);
    request
}

/// A refusal has a reason; what has none comes from a connection that broke.
fn judge<T>(answer: Result<Response<T>, Status>) -> Result<Outcome<T>> {
    match answer {
        Ok(response) => Ok(Outcome::Done(response.into_inner())),
        Err(status) if status.code() == Code::Unavailable => Ok(Outcome::Unknown),
        Err(status) if reason(&status) == "CONFLICT" => Ok(Outcome::Refused),
        Err(status) if reason(&status).is_empty() => Ok(Outcome::Unknown),
        Err(status) => bail!("{}: {}", reason(&status), status.message()),
    }
}

/// Whether the worker goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    CutOff,
}

impl Worker {
    pub(crate) fn new(number: usize) -> Self {
        // Each begins elsewhere, so that different calls meet.
        Self { number, keys: Vec::new(), accounts: Vec::new(), step: number * 2 }
    }

    /// Works until told to stop or until a call is cut off.
    pub(crate) async fn run(mut self, mut clients: Clients, course: Arc<Course>) -> Result<Self> {
        while !course.stop.load(Ordering::Relaxed) {
            self.step += 1;
            match self.work(&mut clients, &course).await {
                Ok(Next::GoOn) => {
                    course.acknowledged.fetch_add(1, Ordering::Relaxed);
                    course.progress.notify_one();
                }
                Ok(Next::CutOff) => {
                    course.cut_off.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(error) => {
                    course.failed.store(true, Ordering::Relaxed);
                    course.progress.notify_one();
                    return Err(error.context(format!("worker {}", self.number)));
                }
            }
        }
        Ok(self)
    }

    async fn work(&mut self, clients: &mut Clients, course: &Course) -> Result<Next> {
        let key = self.pick(self.keys.len());
        let account = self.pick(self.accounts.len());
        match self.step % 9 {
            0 | 5 if self.keys.len() < 40 => self.create_key(clients).await,
            1 => rotate_shared(clients, course).await,
            2 if account.is_none() || self.accounts.len() < 40 => self.create_account(clients).await,
            3 | 6 => self.change_account(clients, account).await,
            4 => self.rewrap(clients, key).await,
            7 => self.encrypt(clients, key).await,
            _ => self.rotate(clients, key).await,
        }
    }

    /// The newest by turns with one that moves through all.
    fn pick(&self, count: usize) -> Option<usize> {
        let last = count.checked_sub(1)?;
        Some(if self.step.is_multiple_of(2) { last } else { (self.step / 2) % count })
    }

    async fn create_key(&mut self, clients: &mut Clients) -> Result<Next> {
        let name = format!("w{}-k{}", self.number, self.keys.len());
        let types = [KeyType::Xaes256Gcm, KeyType::Aes256Gcm96, KeyType::Chacha20Poly1305];
        let r#type = types[self.keys.len() % types.len()].into();
        let request = CreateKeyRequest { name: name.clone(), r#type, ..Default::default() };
        let answer = judge(clients.keys.create_key(timed(request)).await)?;
        let mut key = OwnKey { name, latest: 0, unknown: 1, sealed: Vec::new() };
        let next = match answer {
            Outcome::Done(made) => {
                ensure!(made.is_new, "{} was made for the first time", key.name);
                (key.latest, key.unknown) = (1, 0);
                Next::GoOn
            }
            Outcome::Unknown => Next::CutOff,
            Outcome::Refused => bail!("making {} conflicts with nothing", key.name),
        };
        self.keys.push(key);
        Ok(next)
    }

    async fn rotate(&mut self, clients: &mut Clients, key: Option<usize>) -> Result<Next> {
        let Some(key) = key.and_then(|key| self.keys.get_mut(key)) else { return Ok(Next::GoOn) };
        let request = RotateKeyRequest { name: key.name.clone() };
        match judge(clients.keys.rotate_key(timed(request)).await)? {
            Outcome::Done(rotated) => {
                let latest = rotated.key.context("the key is told")?.latest_version;
                ensure!(latest == key.latest + 1, "{}: {} was followed by {latest}", key.name, key.latest);
                key.latest = latest;
                Ok(Next::GoOn)
            }
            Outcome::Unknown => {
                key.unknown += 1;
                Ok(Next::CutOff)
            }
            Outcome::Refused => Ok(Next::GoOn),
        }
    }

    async fn encrypt(&mut self, clients: &mut Clients, key: Option<usize>) -> Result<Next> {
        let step = self.step;
        let Some(key) = key.and_then(|key| self.keys.get_mut(key)) else { return Ok(Next::GoOn) };
        let plaintext = Bytes::from(format!("{} at {step}", key.name));
        let request =
            EncryptRequest { key: key.name.clone(), plaintext: plaintext.clone(), ..Default::default() };
        match judge(clients.data.encrypt(timed(request)).await)? {
            Outcome::Done(made) => key.take(made.ciphertext, plaintext, made.key_version),
            Outcome::Unknown => Ok(Next::CutOff),
            Outcome::Refused => bail!("encrypting with {} conflicts with nothing", key.name),
        }
    }

    async fn rewrap(&mut self, clients: &mut Clients, key: Option<usize>) -> Result<Next> {
        let Some(key) = key.and_then(|key| self.keys.get_mut(key)) else { return Ok(Next::GoOn) };
        let Some(old) = key.sealed.first() else { return Ok(Next::GoOn) };
        let plaintext = old.plaintext.clone();
        let request =
            RewrapRequest { key: key.name.clone(), ciphertext: old.ciphertext.clone(), ..Default::default() };
        match judge(clients.data.rewrap(timed(request)).await)? {
            Outcome::Done(made) => key.take(made.ciphertext, plaintext, made.key_version),
            Outcome::Unknown => Ok(Next::CutOff),
            Outcome::Refused => bail!("rewrapping with {} conflicts with nothing", key.name),
        }
    }

    async fn create_account(&mut self, clients: &mut Clients) -> Result<Next> {
        let name = format!("w{}-a{}", self.number, self.accounts.len());
        let password = "a password that nobody guesses".to_owned();
        let request = CreateAccountRequest { name: name.clone(), password, ..Default::default() };
        let answer = judge(clients.accounts.create_account(timed(request)).await)?;
        self.accounts.push(OwnAccount { name, possible: vec![None] });
        let account = self.accounts.last_mut().context("it was just added")?;
        Ok(account.settle(&answer, Some((String::new(), false))))
    }

    async fn change_account(&mut self, clients: &mut Clients, account: Option<usize>) -> Result<Next> {
        let step = self.step;
        let Some(account) = account.and_then(|account| self.accounts.get_mut(account)) else {
            return Ok(Next::GoOn);
        };
        let Some(Some((display_name, disabled))) = account.possible.first().cloned() else {
            return Ok(Next::GoOn);
        };
        let name = account.name.clone();
        if step % 4 == 3 {
            let deleted = clients.accounts.delete_account(timed(DeleteAccountRequest { name })).await;
            return Ok(account.settle(&judge(deleted)?, None));
        }
        let (display_name, disabled) =
            if step % 4 == 1 { (display_name, !disabled) } else { (format!("name {step}"), disabled) };
        let request = UpdateAccountRequest {
            name,
            display_name: Some(display_name.clone()),
            disabled: Some(disabled),
            ..Default::default()
        };
        let updated = clients.accounts.update_account(timed(request)).await;
        Ok(account.settle(&judge(updated)?, Some((display_name, disabled))))
    }
}

impl OwnKey {
    fn take(&mut self, ciphertext: Bytes, plaintext: Bytes, version: u32) -> Result<Next> {
        ensure!(version == self.latest, "{}: version {version} was used, not {}", self.name, self.latest);
        self.sealed.push(Sealed { ciphertext, plaintext, version, is_checked: false });
        Ok(Next::GoOn)
    }
}

impl OwnAccount {
    fn settle<T>(&mut self, answer: &Outcome<T>, wanted: State) -> Next {
        match answer {
            Outcome::Done(_) => {
                self.possible = vec![wanted];
                Next::GoOn
            }
            Outcome::Unknown => {
                self.possible.push(wanted);
                Next::CutOff
            }
            Outcome::Refused => Next::GoOn,
        }
    }
}

async fn rotate_shared(clients: &mut Clients, course: &Course) -> Result<Next> {
    let request = RotateKeyRequest { name: SHARED.into() };
    let answer = judge(clients.keys.rotate_key(timed(request)).await)?;
    let mut shared = course.shared.lock().expect("nobody panics with it");
    match answer {
        Outcome::Done(rotated) => {
            let latest = rotated.key.context("the key is told")?.latest_version;
            // The key is told as it is after the rotation, and others may have rotated it since.
            ensure!(latest > shared.settled, "version {latest} is older than {}", shared.settled);
            shared.acknowledged += 1;
            shared.newest = shared.newest.max(latest);
            Ok(Next::GoOn)
        }
        Outcome::Unknown => {
            shared.unknown += 1;
            Ok(Next::CutOff)
        }
        Outcome::Refused => Ok(Next::GoOn),
    }
}
