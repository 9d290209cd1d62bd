from enarx.api import aio as aio
from enarx.api.data import Contribution as Contribution
from enarx.api.data import Preview as Preview
from enarx.api.data_sync import contribute as contribute
from enarx.api.data_sync import preview as preview
from enarx.api.data_sync import receive as receive
from enarx.api.jobs import Job as Job
from enarx.api.jobs import Result as Result
from enarx.api.keeps import Logs as Logs
from enarx.api.start import Hooks as Hooks
from enarx.api.sync import attach as attach
from enarx.api.sync import deploy as deploy
from enarx.api.sync import logs as logs
from enarx.api.sync import run as run
from enarx.errors import AppraisalError as AppraisalError
from enarx.errors import BackendError as BackendError
from enarx.errors import DeliveryError as DeliveryError
from enarx.errors import EnarxError as EnarxError
from enarx.errors import ParseError as ParseError
from enarx.errors import UnavailableError as UnavailableError
from enarx.errors import UsageError as UsageError
from enarx.errors import VerificationError as VerificationError
from enarx.formats.config import Config as Config
from enarx.formats.config import Dir as Dir
from enarx.formats.parties import Provider as Provider
from enarx.formats.parties import Recipient as Recipient
from enarx.tenant.connection import Endpoint as Endpoint
from enarx.tenant.invitations import Invitation as Invitation

VERSION: str
__all__: list[str]
PUBLIC: dict[str, tuple[str, ...]]
