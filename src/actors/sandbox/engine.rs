//! An engine at the bench: started on the job's account, its events passed on to exactly one end.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::timeout};

use super::{
    kit::BenchKit,
    messages::{BenchError, EngineStart},
    model::MeteredModel,
    place::Place,
};
use crate::{
    domain::engine::{Control, End, Ending, EngineEvent},
    ports::engine::{EngineRun, Session},
};

/// How long an engine may take to take an order.
const ORDER: Duration = Duration::from_secs(10);

/// Starts an engine.
pub(super) fn start(
    kit: &BenchKit,
    place: &Arc<Place>,
    start: EngineStart,
    events: mpsc::Sender<EngineEvent>,
) -> Result<(), BenchError> {
    let mut slot = place.engine();
    if slot.is_some() {
        return Err(BenchError::Busy("an engine runs already: interrupt it, or wait for its end"));
    }
    place.meter.tell_again();
    let session = match start.session {
        Some(id) => Session::Resume(id),
        None => Session::New(uuid::Uuid::from_u128(kit.clock.fresh()).to_string()),
    };
    let span = tracing::info_span!("engine", engine = start.engine.as_str(), sandbox = place.sandbox.id());
    let model = MeteredModel::new(
        place.meter.clone(),
        kit.doors.complete.clone(),
        kit.models.clone(),
        start.model.as_deref(),
        span,
    );
    let run = EngineRun {
        prompt: start.prompt,
        system: start.system,
        session,
        model: start.model,
        limits: start.limits,
        approvals: start.approvals,
        gateway: format!("http://127.0.0.1:{}/llm", place.gateway.port()),
        token: place.token.clone(),
    };
    let engine = kit.engines.engine(start.engine, Arc::new(model));
    let handle = engine.start(run, Arc::clone(&place.sandbox));
    *slot = Some(handle.control);
    tokio::spawn(forward(Arc::clone(place), handle.events, events));
    Ok(())
}

/// Tells the engine something.
pub(super) async fn tell(place: &Place, control: Control) -> Result<(), BenchError> {
    let orders = place.engine().clone().ok_or(BenchError::NoEngine)?;
    match timeout(ORDER, orders.send(control)).await {
        Ok(sent) => sent.map_err(|_| BenchError::NoEngine),
        Err(_) => Err(BenchError::Failed("the engine takes no orders".into())),
    }
}

/// Passes events on, up to the one result.
async fn forward(place: Arc<Place>, mut from: mpsc::Receiver<EngineEvent>, to: mpsc::Sender<EngineEvent>) {
    loop {
        let event = from.recv().await.unwrap_or_else(|| {
            let text = "the engine ended without a result".into();
            let ending = Ending { ok: false, text, end: End::Crashed, exit: None, sandbox_gone: false };
            EngineEvent::Result(ending)
        });
        let EngineEvent::Result(ending) = event else {
            if to.send(event).await.is_err() {
                break;
            }
            continue;
        };
        // Whoever hears of the end may start the next one at once.
        *place.engine() = None;
        if to.send(EngineEvent::Result(explained(&place, ending))).await.is_err() {
            break;
        }
        return;
    }
    place.doom("nobody reads what its engine tells");
}

/// A sandbox that was ended for a reason of ours died of that reason.
fn explained(place: &Place, mut ending: Ending) -> Ending {
    if let Some(why) = place.why_gone()
        && ending.end == End::SandboxDied
    {
        ending.text = format!("the sandbox died: {why}");
    }
    ending.sandbox_gone |= place.why_gone().is_some();
    ending
}
