//! The operations of the administration, as [`super`] sends them to either API.

use convite_core::Problem;
use convite_core::administration::{
    AccountSummary, AuditRecord, InviteSummary, SessionSummary, SpaceSummary,
};
use convite_core::remote_fetch::LoadSummary;
use convite_net::dial::Http2;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;
use serde_json::{Value, json};

use super::{Call, hash_bytes, page, query, with_token};

/// Returns the method and path of an operation.
pub fn path(call: &Call) -> Option<(&'static str, String)> {
    let part = |name: &str| call.fields[name].as_str().unwrap_or_default().to_owned();
    let list = |path: String, skip: &str| {
        let mut fields = call.fields.clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.remove(skip);
        }
        ("GET", format!("{path}?{}", query(&fields)))
    };
    let member = || format!("/spaces/{}/members/{}", part("space"), part("user"));
    Some(match call.operation {
        "me" => ("GET", "/me".to_owned()),
        "users" => list("/users".to_owned(), ""),
        "add_user" => ("POST", "/users".to_owned()),
        "change_user" => ("PATCH", format!("/users/{}", part("user"))),
        "spaces" => list("/spaces".to_owned(), ""),
        "add_space" => ("POST", "/spaces".to_owned()),
        "remove_space" => ("DELETE", format!("/spaces/{}", part("space"))),
        "members" => list(format!("/spaces/{}/members", part("space")), "space"),
        "add_member" => ("PUT", member()),
        "remove_member" => ("DELETE", member()),
        "invites" => list("/invites".to_owned(), ""),
        "revoke_invite" => ("DELETE", format!("/invites/{}", part("id"))),
        "sessions" => list("/sessions".to_owned(), ""),
        "revoke_session" => ("DELETE", format!("/sessions/{}", part("id"))),
        "link" => ("POST", format!("/files/{}/link", part("hash"))),
        "load_file" => ("POST", "/loadfiles".to_owned()),
        "put_load_file" => ("PUT", "/loadfiles".to_owned()),
        "loads" => list("/loadfiles".to_owned(), ""),
        "get_load" => ("GET", format!("/loadfiles/{}", part("id"))),
        "upload_ticket" => ("POST", format!("/peers/{}/upload-ticket", part("peer"))),
        "audit" => list("/audit".to_owned(), ""),
        _ => return None,
    })
}

/// Returns the fields of the REST body; the other fields are in the path.
pub fn body(call: &Call) -> Value {
    let mut fields = call.fields.clone();
    let in_path = match call.operation {
        "change_user" => "user",
        "link" => "hash",
        "heartbeat" => "id",
        _ => return fields,
    };
    if let Some(fields) = fields.as_object_mut() {
        fields.remove(in_path);
    }
    fields
}

/// Sends the operation through gRPC.
pub async fn ask(
    mut client: DirectoryClient<Http2<tonic::body::Body>>,
    token: Option<&str>,
    call: &Call,
) -> Result<Value, Problem> {
    macro_rules! ask {
        ($method:ident, $message:expr) => {{
            let reply = client.$method(with_token(token, $message)).await;
            reply
                .map_err(|status| convite_wire::status::from_status(&status))?
                .into_inner()
        }};
    }
    let text = |name: &str| call.fields[name].as_str().unwrap_or_default().to_owned();
    let (user, space, id) = (text("user"), text("space"), text("id"));
    let limit = call.fields["limit"].as_u64().unwrap_or_default() as u32;
    let cursor = text("cursor");
    Ok(match call.operation {
        "load_file" | "put_load_file" => {
            let (hash, peer) = (hash_bytes(&text("hash")), text("peer"));
            let name = text("name");
            let reply = ask!(load_file, v1::LoadFileRequest { hash, peer, name });
            json!({"load": reply.load})
        }
        "loads" => {
            let reply = ask!(list_loads, v1::ListLoadsRequest { limit, cursor });
            page::<_, LoadSummary>("loads", reply.loads, reply.next_cursor)
        }
        "get_load" => {
            let load = ask!(get_load, v1::GetLoadRequest { load: id }).load;
            serde_json::to_value(LoadSummary::try_from(load.unwrap())?).unwrap()
        }
        "upload_ticket" => {
            let peer = text("peer");
            let grant = ask!(get_upload_ticket, v1::GetUploadTicketRequest { peer });
            json!({"ticket": grant.ticket, "addresses": grant.addresses, "host": grant.host})
        }
        "me" => {
            let me = ask!(who_am_i, v1::WhoAmIRequest {});
            json!({"user": me.user, "role": me.role, "spaces": me.spaces, "expires_at": me.expires_at, "link": me.link})
        }
        "users" => {
            let reply = ask!(list_users, v1::ListUsersRequest { limit, cursor });
            page::<_, AccountSummary>("users", reply.users, reply.next_cursor)
        }
        "add_user" => {
            let spaces = call.fields["spaces"].as_array().into_iter().flatten();
            let message = v1::AddUserRequest {
                user,
                password: text("password"),
                role: text("role"),
                spaces: spaces.map(|s| s.as_str().unwrap().to_owned()).collect(),
            };
            ask!(add_user, message);
            json!({})
        }
        "change_user" if call.fields["old_password"].is_string() => {
            let (old, new) = (text("old_password"), text("password"));
            ask!(
                change_password,
                v1::ChangePasswordRequest { user, old, new }
            );
            json!({})
        }
        "change_user" => {
            let message = v1::ChangeUserRequest {
                user,
                role: text("role"),
                disabled: call.fields["disabled"].as_bool(),
                password: text("password"),
            };
            ask!(change_user, message);
            json!({})
        }
        "spaces" => {
            let reply = ask!(list_spaces, v1::ListSpacesRequest { limit, cursor });
            page::<_, SpaceSummary>("spaces", reply.spaces, reply.next_cursor)
        }
        "add_space" => {
            ask!(add_space, v1::AddSpaceRequest { space });
            json!({})
        }
        "remove_space" => {
            ask!(remove_space, v1::RemoveSpaceRequest { space });
            json!({})
        }
        "members" => {
            let message = v1::ListMembersRequest {
                space,
                limit,
                cursor,
            };
            let reply = ask!(list_members, message);
            if reply.next_cursor.is_empty() {
                json!({"members": reply.users})
            } else {
                json!({"members": reply.users, "next_cursor": reply.next_cursor})
            }
        }
        "add_member" => {
            ask!(add_member, v1::AddMemberRequest { space, user });
            json!({})
        }
        "remove_member" => {
            ask!(remove_member, v1::RemoveMemberRequest { space, user });
            json!({})
        }
        "invites" => {
            let reply = ask!(list_invites, v1::ListInvitesRequest { limit, cursor });
            page::<_, InviteSummary>("invites", reply.invites, reply.next_cursor)
        }
        "revoke_invite" => {
            ask!(revoke_invite, v1::RevokeInviteRequest { id });
            json!({})
        }
        "sessions" => {
            let message = v1::ListSessionsRequest {
                user,
                limit,
                cursor,
            };
            let reply = ask!(list_sessions, message);
            page::<_, SessionSummary>("sessions", reply.sessions, reply.next_cursor)
        }
        "revoke_session" => {
            ask!(revoke_session, v1::RevokeSessionRequest { id });
            json!({})
        }
        "link" => {
            let message = v1::CreateLinkRequest {
                hash: hash_bytes(&text("hash")),
                expires_in: call.fields["expires_in"].as_u64().unwrap_or_default(),
                uses: call.fields["uses"].as_u64().unwrap_or_default() as u32,
                name: call.fields["name"].as_str().unwrap_or_default().to_owned(),
            };
            let reply = ask!(create_link, message);
            json!({"path": reply.path, "url": reply.url, "expires_at": reply.expires_at})
        }
        "audit" => {
            let reply = ask!(list_audit, v1::ListAuditRequest { limit, cursor });
            page::<_, AuditRecord>("entries", reply.records, reply.next_cursor)
        }
        other => panic!("{other}"),
    })
}
