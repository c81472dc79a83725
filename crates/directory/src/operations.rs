//! The operations of the directory, each declared once in `operations!`.
//!
//! A declaration determines the gRPC method (`grpc/mod.rs`), the REST routes and whether their
//! description requires a session (`rest/mod.rs`), the cost class and the check for a session in
//! the middleware, and the row in docs/operations.md. Tests check for each operation that callers
//! without a session are refused, and for those of administrators that other callers are refused,
//! with an entry in the audit log (tests/parity/operations.rs).

use convite_core::administration::AuditAction;

use crate::cost_class::CostClass;

/// The callers that an operation is available to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, or the holder of a token that is not a session: a link, an invite.
    Anyone,
    /// Any account.
    Session,
    /// Accounts with the role member or administrator.
    Sharing,
    /// Administrators.
    Admin,
}

impl Access {
    /// Returns whether the operation requires a session.
    pub fn requires_session(self) -> bool {
        self != Self::Anyone
    }

    fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Session => "any account",
            Self::Sharing => "members",
            Self::Admin => "administrators",
        }
    }
}

/// Declares all operations, and passes the declarations to the macro `$consumer`.
///
/// `Name(access, cost class, audit act)`, then the handlers of the APIs that have the operation:
///
/// - `grpc`: the function in `grpc/` that handles the method `Name`, its request and its reply.
///   `grpc_stream` is the same for a method that returns a stream.
/// - `rest`: the handlers in `rest/`; the attribute of each has its method, path and responses.
///
/// The audit act is the one that is recorded when the operation is done or refused. The parts in
/// parentheses are required, so that a new operation cannot omit its cost class.
macro_rules! operations {
    ($consumer:ident) => {
        $consumer! {
            // Sessions and accounts
            Login(Anyone, PasswordHash, Some(Login)) {
                grpc sessions::login(LoginRequest) -> LoginReply;
                rest sessions::login;
            }
            Logout(Session, Cheap, None) {
                grpc sessions::logout(LogoutRequest) -> LogoutReply;
                rest sessions::logout;
            }
            WhoAmI(Session, Cheap, None) {
                grpc sessions::who_am_i(WhoAmIRequest) -> WhoAmIReply;
                rest sessions::me;
            }
            ListSessions(Session, Cheap, Some(SessionList)) {
                grpc sessions::list_sessions(ListSessionsRequest) -> ListSessionsReply;
                rest sessions::list;
            }
            RevokeSession(Session, Cheap, Some(SessionRevoke)) {
                grpc sessions::revoke_session(RevokeSessionRequest) -> RevokeSessionReply;
                rest sessions::revoke;
            }
            CreateAccount(Anyone, PasswordHash, Some(Join)) {
                grpc accounts::create_account(CreateAccountRequest) -> CreateAccountReply;
                rest accounts::create;
            }
            CreateInvite(Admin, Cheap, Some(InviteAdd)) {
                grpc invites::create_invite(CreateInviteRequest) -> CreateInviteReply;
                rest invites::create;
            }
            ListInvites(Admin, Cheap, Some(InviteList)) {
                grpc invites::list_invites(ListInvitesRequest) -> ListInvitesReply;
                rest invites::list;
            }
            RevokeInvite(Admin, Cheap, Some(InviteRevoke)) {
                grpc invites::revoke_invite(RevokeInviteRequest) -> RevokeInviteReply;
                rest invites::revoke;
            }

            // Administration
            AddUser(Admin, PasswordHash, Some(UserAdd)) {
                grpc administration::add_user(AddUserRequest) -> AddUserReply;
                rest users::add;
            }
            ListUsers(Admin, Cheap, Some(UserList)) {
                grpc administration::list_users(ListUsersRequest) -> ListUsersReply;
                rest users::list;
            }
            // Users change their own password with it. Each changed field has its own act.
            ChangeUser(Session, PasswordHash, Some(UserRole)) {
                grpc administration::change_user(ChangeUserRequest) -> ChangeUserReply;
                rest users::change;
            }
            ChangePassword(Session, PasswordHash, Some(UserPassword)) {
                grpc administration::change_password(ChangePasswordRequest) -> ChangePasswordReply;
            }
            AddSpace(Admin, Cheap, Some(SpaceAdd)) {
                grpc administration::add_space(AddSpaceRequest) -> AddSpaceReply;
                rest spaces::add;
            }
            RemoveSpace(Admin, Cheap, Some(SpaceRemove)) {
                grpc administration::remove_space(RemoveSpaceRequest) -> RemoveSpaceReply;
                rest spaces::remove;
            }
            ListSpaces(Session, Cheap, None) {
                grpc administration::list_spaces(ListSpacesRequest) -> ListSpacesReply;
                rest spaces::list;
            }
            AddMember(Admin, Cheap, Some(MemberAdd)) {
                grpc administration::add_member(AddMemberRequest) -> AddMemberReply;
                rest spaces::add_member;
            }
            RemoveMember(Admin, Cheap, Some(MemberRemove)) {
                grpc administration::remove_member(RemoveMemberRequest) -> RemoveMemberReply;
                rest spaces::remove_member;
            }
            ListMembers(Admin, Cheap, Some(MemberList)) {
                grpc administration::list_members(ListMembersRequest) -> ListMembersReply;
                rest spaces::members;
            }
            ListAudit(Admin, Cheap, Some(AuditList)) {
                grpc administration::list_audit(ListAuditRequest) -> ListAuditReply;
                rest audit::list;
            }

            // Peers
            RegisterPeer(Sharing, Cheap, None) {
                grpc peers::register_peer(RegisterPeerRequest) -> RegisterPeerReply;
                rest peers::register;
            }
            LeavePeer(Session, Cheap, Some(PeerRemove)) {
                grpc peers::leave_peer(LeavePeerRequest) -> LeavePeerReply;
                rest peers::leave;
            }
            Heartbeat(Session, Cheap, None) {
                grpc peers::heartbeat(HeartbeatRequest) -> HeartbeatReply;
                rest peers::heartbeat;
            }
            ListPeers(Session, Cheap, None) {
                grpc peers::list_peers(ListPeersRequest) -> ListPeersReply;
                rest peers::list;
            }
            GetUploadTicket(Sharing, Cheap, None) {
                grpc uploads::get_upload_ticket(GetUploadTicketRequest) -> GetUploadTicketReply;
                rest uploads::ticket;
            }
            Upload(Sharing, Streaming, None) {
                rest uploads::upload;
            }
            Events(Session, Streaming, None) {
                rest events::events;
            }
            CreateEventsToken(Session, Cheap, None) {
                rest events::token;
            }

            // Index and search
            PublishIndex(Sharing, Publish, None) {
                grpc index::publish_index(Streaming<PublishIndexRequest>) -> PublishIndexReply;
                rest index::publish;
            }
            ListIndex(Session, Search, None) {
                grpc index::list_index(ListIndexRequest) -> ListIndexReply;
                rest index::list;
            }
            SearchFile(Session, Search, None) {
                grpc search::search_file(SearchFileRequest) -> SearchFileReply;
                rest search::search;
            }
            FindByName(Session, Search, None) {
                grpc locate::find_by_name(FindByNameRequest) -> FindByNameReply;
                rest files::find_by_name;
            }
            Locate(Session, Cheap, None) {
                grpc locate::locate(LocateRequest) -> LocateReply;
                rest files::locate;
            }
            LocateMany(Session, Cheap, None) {
                grpc_stream locate::locate_many(LocateManyRequest) -> LocateManyReply;
                rest files::locate_many;
            }
            ListFolder(Session, Search, None) {
                grpc locate::list_folder(ListFolderRequest) -> ListFolderReply;
                rest folders::list;
            }
            Announce(Sharing, Cheap, None) {
                grpc swarm::announce(AnnounceRequest) -> AnnounceReply;
            }
            Watch(Session, Streaming, None) {
                grpc_stream swarm::watch(WatchRequest) -> WatchReply;
            }

            // Contents, links and remote downloads
            ReadContent(Session, Streaming, None) {
                rest contents::read;
            }
            CreateContentToken(Session, Cheap, None) {
                rest contents::token;
            }
            CreateLink(Sharing, Cheap, Some(LinkAdd)) {
                grpc links::create_link(CreateLinkRequest) -> CreateLinkReply;
                rest links::create;
            }
            ReadLink(Anyone, Public, Some(LinkUse)) {
                rest links::read;
            }
            // The button on the page of a link.
            DownloadLink(Anyone, Public, None) {
                rest links::download;
            }
            LoadFile(Sharing, Cheap, Some(LoadAdd)) {
                grpc remote_fetches::load_file(LoadFileRequest) -> LoadFileReply;
                rest remote_fetches::load;
                rest remote_fetches::load_by_put;
            }
            ListLoads(Session, Cheap, None) {
                grpc remote_fetches::list_loads(ListLoadsRequest) -> ListLoadsReply;
                rest remote_fetches::list;
            }
            GetLoad(Session, Cheap, None) {
                grpc remote_fetches::get_load(GetLoadRequest) -> GetLoadReply;
                rest remote_fetches::read;
            }
            ReportLoad(Sharing, Cheap, None) {
                grpc remote_fetches::report_load(ReportLoadRequest) -> ReportLoadReply;
            }

            // The directory itself
            ShowPage(Anyone, Cheap, None) {
                rest web::page;
            }
            Healthz(Anyone, Cheap, None) {
                rest health::healthz;
            }
            Readyz(Anyone, Cheap, None) {
                rest health::readyz;
            }
            // From this machine anyone, otherwise administrators.
            Metrics(Anyone, Cheap, None) {
                rest metrics::metrics;
            }
            DescribeApi(Anyone, Cheap, None) {
                rest describe;
            }
            ShowDocs(Anyone, Cheap, None) {
                rest docs::page;
                rest docs::script;
                rest docs::style;
            }
        }
    };
}
pub(crate) use operations;

/// Generates [`Operation`].
macro_rules! enumerate {
    ($(
        $name:ident($access:ident, $cost:ident, $audit:expr) {
            $(grpc $module:ident::$method:ident($request:ty) -> $reply:ident;)?
            $(grpc_stream $stream_module:ident::$stream_method:ident($stream_request:ty) -> $stream_reply:ident;)?
            $(rest $($handler:ident)::+;)*
        }
    )*) => {
        /// An operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the handlers have the documentation")]
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// All operations.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name; it is the name of the gRPC method.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Returns the callers that the operation is available to.
            pub const fn access(self) -> Access {
                match self {
                    $(Self::$name => Access::$access,)*
                }
            }

            /// Returns the cost class.
            pub const fn cost(self) -> CostClass {
                match self {
                    $(Self::$name => CostClass::$cost,)*
                }
            }

            /// Returns the act that the audit log records, if any.
            pub const fn audit(self) -> Option<AuditAction> {
                #[allow(clippy::enum_glob_use, reason = "the declarations name the acts")]
                use AuditAction::*;
                match self {
                    $(Self::$name => $audit,)*
                }
            }

            /// Returns whether the gRPC API has the operation.
            pub const fn has_grpc(self) -> bool {
                match self {
                    $(Self::$name => {
                        let methods: &[&str] =
                            &[$(stringify!($method),)? $(stringify!($stream_method),)?];
                        !methods.is_empty()
                    })*
                }
            }
        }
    };
}
operations!(enumerate);

/// The path of the gRPC service, before the name of a method.
const DIRECTORY: &str = "/convite.v1.Directory/";

impl Operation {
    /// Returns the path of the gRPC method, if there is one.
    pub fn grpc_path(self) -> Option<String> {
        self.has_grpc()
            .then(|| format!("{DIRECTORY}{}", self.name()))
    }

    /// Returns the operation with this gRPC path.
    pub(crate) fn of_grpc(path: &str) -> Option<Self> {
        let name = path.strip_prefix(DIRECTORY)?;
        let mut all = Self::ALL.iter().copied();
        all.find(|operation| operation.has_grpc() && operation.name() == name)
    }
}

/// Returns docs/operations.md; `routes` are the REST routes of each operation, as `GET /search`.
pub(crate) fn page(routes: impl Fn(Operation) -> Vec<String>) -> String {
    let mut page = "# Operations of a directory\n\n\
        Generated by `cargo xtask generate` from `crates/directory/src/operations.rs`. The cost class \
        selects the limits\nfor concurrent requests; the audit act is recorded when the operation is \
        done or refused.\n\n\
        | operation | gRPC | REST | for | cost class | audit act |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for operation in Operation::ALL.iter().copied() {
        let grpc = if operation.has_grpc() { "yes" } else { "" };
        let routes: Vec<String> = routes(operation)
            .iter()
            .map(|route| format!("`{route}`"))
            .collect();
        let act = operation.audit().map_or("", AuditAction::name);
        page += &format!(
            "| `{}` | {grpc} | {} | {} | {} | {act} |\n",
            operation.name(),
            routes.join(", "),
            operation.access().name(),
            operation.cost().name(),
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_declared_grpc_methods_are_those_of_the_proto_file() {
        let declared = Operation::ALL.iter().filter_map(|one| one.grpc_path());
        let declared: BTreeSet<String> = declared.collect();
        let defined = convite_wire::methods::grpc_paths().into_iter();
        let defined: BTreeSet<String> =
            defined.filter(|path| path.starts_with(DIRECTORY)).collect();
        assert_eq!(declared, defined);
        for path in defined {
            let operation = Operation::of_grpc(&path).unwrap();
            assert_eq!(operation.grpc_path(), Some(path));
        }
    }

    #[test]
    fn administration_is_audited() {
        for operation in Operation::ALL.iter().copied() {
            let is_admin = operation.access() == Access::Admin;
            assert!(!is_admin || operation.audit().is_some(), "{operation:?}");
        }
    }
}
