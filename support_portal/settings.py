"""The one settings file. Every variable it reads is described in .env.example; a wrong value stops start-up."""

from __future__ import annotations

import warnings
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from chatbot.company import load_company
from support_portal.accounts.oidc_settings import load_oidc
from support_portal.env import database_from_url, env_bool, env_choice, env_int, env_list, env_secret, env_share, env_str, env_url

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env_str("DATA_DIR", str(BASE_DIR / ".data"))).resolve()

# ---- who may reach us
DEBUG = env_bool("DEBUG", False)
SECRET_KEY = env_secret("SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY is not set. Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost")
# Full origins (scheme://host:port) whose pages may open the websocket and send forms.
CSRF_TRUSTED_ORIGINS = env_list("TRUSTED_ORIGINS")
HTTPS = env_bool("HTTPS", False)
METRICS_TOKEN = env_secret("METRICS_TOKEN")

# ---- PostgreSQL and Valkey/Redis
DATABASE_URL = env_secret("DATABASE_URL")
if not DATABASE_URL:
    raise ImproperlyConfigured(
        "DATABASE_URL is not set. `make demo` and `make manage` start an embedded PostgreSQL; elsewhere set it, "
        "for example postgresql://USER:PASSWORD@HOST:5432/NAME."
    )
DATABASES = {"default": database_from_url(DATABASE_URL)}
REDIS_URL = env_secret("REDIS_URL")
if not REDIS_URL:
    raise ImproperlyConfigured("REDIS_URL is not set, for example redis://HOST:6379/0.")

# ---- the model
ENGINE = env_choice("ENGINE", "torch", ("torch", "remote", "scripted"))
MODEL = env_str("MODEL", "default")
MODELS_DIR = Path(env_str("MODELS_DIR", str(DATA_DIR / "models")))
# Heads of the second look that `fitlook` has fitted to other weights than the default model's.
LOOK_HEADS_DIR = MODELS_DIR / "look_heads"
MODEL_DEVICE = env_choice("MODEL_DEVICE", "auto", ("auto", "cpu", "cuda"))
MODEL_DTYPE = env_choice("MODEL_DTYPE", "auto", ("auto", "int8", "bfloat16", "float32"))
MODEL_CUDA_GRAPHS = env_bool("MODEL_CUDA_GRAPHS", False)
MODEL_MAX_RUNNING = env_int("MODEL_MAX_RUNNING", 8, low=1, high=512)
MODEL_MAX_WAITING = env_int("MODEL_MAX_WAITING", 64, low=1, high=10_000)
MODEL_CONTEXT_TOKENS = env_int("MODEL_CONTEXT_TOKENS", 4096, low=512, high=1_000_000)
# Another server for the model, with ENGINE=remote.
MODEL_URL = env_url("MODEL_URL")
MODEL_NAME = env_str("MODEL_NAME")
MODEL_API_KEY = env_secret("MODEL_API_KEY")
if (ENGINE == "remote") != bool(MODEL_URL):
    raise ImproperlyConfigured(f"ENGINE=remote and MODEL_URL go together, but ENGINE is {ENGINE} and MODEL_URL is {MODEL_URL!r}.")
if not (MODEL_API_KEY.isascii() and MODEL_API_KEY.isprintable()):
    raise ImproperlyConfigured("MODEL_API_KEY must be one line of ASCII characters.")
# The tests' engine: a file of scripted answers instead of weights.
ENGINE_SCRIPT = env_str("ENGINE_SCRIPT")

# ---- the company
COMPANY_FILE = Path(env_str("COMPANY_FILE", str(BASE_DIR / "support_portal/demo_company/company.json")))
try:
    COMPANY = load_company(COMPANY_FILE)
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from error

# Whether `manage.py loaddemo` also makes up two months of conversations.
DEMO_HISTORY = env_bool("DEMO_HISTORY", True)

# ---- times, in seconds. support_portal/checks.py proves how they must relate.
REPLY_HEARTBEAT_S = 1
REPLY_LEASE_S = 4
REPLY_SWEEP_S = 2
REPLY_RECOVERY_S = 10
REPLY_MAX_ATTEMPTS = 3
REPLY_DEADLINE_S = env_int("REPLY_DEADLINE_S", 120, low=5, high=900)
BROKER_VISIBILITY_S = 3600
# How long a request for a person may wait, how long a customer may wait for the person's next word, and how long that person's
# desk may be silent, before somebody else is asked.
HANDOFF_PROMISE_S = env_int("HANDOFF_PROMISE_S", 300, low=5, high=7 * 24 * 3600)
AGENT_SILENT_S = env_int("AGENT_SILENT_S", 600, low=5, high=7 * 24 * 3600)
AGENT_GONE_S = env_int("AGENT_GONE_S", 180, low=20, high=24 * 3600)
HANDOFF_SWEEP_S = 2

# ---- search
# `packages`, a sentence-transformers folder, or several joined by `+`.
EMBEDDER = env_str("EMBEDDER", "packages")
# Of the answers that quote a FAQ without asking the model, this share may be wrong.
ANSWER_ERROR_BUDGET = env_share("ANSWER_ERROR_BUDGET", 0.03, low=0.001, high=0.5)
# The model judges what the search is not sure of. A scripted model has no judgement.
ANSWER_SECOND_LOOK = env_bool("ANSWER_SECOND_LOOK", ENGINE != "scripted")

# ---- how the company works
# Nobody publishes FAQ words that they wrote themselves.
FAQ_SECOND_PAIR_OF_EYES = env_bool("FAQ_SECOND_PAIR_OF_EYES", False)
# A version that answers customers is trained anew, the night after somebody whose words it has learnt from was erased.
RETRAIN_AFTER_ERASURE = env_bool("RETRAIN_AFTER_ERASURE", True)

# ---- limits
MESSAGES_PER_MINUTE = env_int("MESSAGES_PER_MINUTE", 30, low=1, high=100_000)
MAX_PENDING_REPLIES = 5
DOCUMENT_MAX_BYTES = env_int("DOCUMENT_MAX_MB", 20, low=1, high=200) * 1024 * 1024

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "chatbot.staffing",
    "chatbot.knowledge",
    "chatbot.documents",
    "chatbot.conversations",
    "chatbot.learning",
    "chatbot.releases",
    "chatbot.quality",
    "chatbot.assist",
    "chatbot.insights",
    "support_portal.accounts",
    "support_portal.desk.apps.DeskConfig",
    "support_portal.demo_company",
    "support_portal.apps.SupportPortalConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "support_portal.urls"
ASGI_APPLICATION = "support_portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "support_portal.chat.context.company",
            ],
            "libraries": {"assist": "support_portal.assist.tags"},
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROLES = ("agent", "lead", "editor", "admin")
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
# The first one makes new hashes; a password that fits one of another is hashed anew at that sign-in.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3600
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/desk/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
# allauth does the work of accounts/; nobody signs up, administrators add people (or single sign-on does).
ACCOUNT_ADAPTER = "support_portal.accounts.adapters.StaffAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_FORMS = {"reset_password": "support_portal.accounts.forms.ResetPasswordForm"}
# Failed tries are counted for one name from one address: nobody can lock a colleague out by guessing.
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip,10/5m/key", "login": "60/m/ip"}
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
MFA_ADAPTER = "support_portal.accounts.adapters.SecondFactorAdapter"
MFA_TOTP_ISSUER = COMPANY.name
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = False
TOTP_REQUIRED_ROLES = env_list("TOTP_REQUIRED_ROLES")
if unknown_roles := set(TOTP_REQUIRED_ROLES) - set(ROLES):
    raise ImproperlyConfigured(f"TOTP_REQUIRED_ROLES names {', '.join(sorted(unknown_roles))}; the roles are {', '.join(ROLES)}.")

# ---- single sign-on (OpenID Connect), off without OIDC_ISSUER
OIDC = load_oidc(ROLES)
SOCIALACCOUNT_ADAPTER = "support_portal.accounts.single_sign_on.SingleSignOnAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_QUERY_EMAIL = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX = ""
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [OIDC.as_app()] if OIDC else []}}

# ---- e-mail: password resets and news of one's own account. Without MAIL_HOST nothing is sent and no page offers it.
MAIL_CONFIGURED = bool(env_str("MAIL_HOST"))
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if MAIL_CONFIGURED else 'dummy'}.EmailBackend"
EMAIL_HOST = env_str("MAIL_HOST")
EMAIL_PORT = env_int("MAIL_PORT", 587, low=1, high=65_535)
EMAIL_HOST_USER = env_str("MAIL_USER")
EMAIL_HOST_PASSWORD = env_secret("MAIL_PASSWORD")
MAIL_SECURITY = env_choice("MAIL_SECURITY", "starttls", ("starttls", "tls", "none"))
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL_SECURITY == "starttls", MAIL_SECURITY == "tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env_str("MAIL_FROM", "answerdesk@localhost")
if MAIL_CONFIGURED and not env_str("MAIL_FROM"):
    raise ImproperlyConfigured("MAIL_HOST is set, so MAIL_FROM must name the sender, for example support@example.com.")

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = env_str("TIME_ZONE", "UTC")

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# The demo serves static/ as it lies; `collectstatic` makes hashed names for production.
WHITENOISE_USE_FINDERS = True
warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)
STATICFILES_STORAGE_BACKEND = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if (STATIC_ROOT / "staticfiles.json").exists()
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATICFILES_STORAGE_BACKEND},
}

CACHES = {
    "default": {
        "BACKEND": "support_portal.accounts.forgiving_cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {
            "serializer": "support_portal.accounts.forgiving_cache.JsonSerializer",
            "socket_timeout": 2,
            "socket_connect_timeout": 2,
        },
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        # Browsers hold the redirect to the company's own sign-in against this, too.
        "form-action": [SELF, *([OIDC.origin] if OIDC else [])],
        "frame-ancestors": [NONE],
    }
}

# ---- Celery: two queues, so that indexing and sweeping never wait behind an answer.
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": BROKER_VISIBILITY_S, "socket_timeout": 10, "socket_connect_timeout": 3}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# A generation worker takes what its engine can hold, and a few more for answers that need no model. The others name theirs.
CELERY_WORKER_CONCURRENCY = MODEL_MAX_RUNNING + MODEL_MAX_WAITING + 8
CELERY_TASK_DEFAULT_QUEUE = "general"
CELERY_TASK_ROUTES = {"conversations.reply": {"queue": "generation"}}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "catch-up-documents": {"task": "documents.catch_up", "schedule": 60.0, "options": {"expires": 60}},
    "follow-validity": {"task": "knowledge.follow_validity", "schedule": 20.0, "options": {"expires": 20}},
    "refresh-facts": {"task": "insights.refresh_facts", "schedule": 60.0, "options": {"expires": 60}},
    "read-conversations": {"task": "assist.catch_up", "schedule": 5.0, "options": {"expires": 5}},
    "gather-reviews": {"task": "assist.gather_reviews", "schedule": 60.0, "options": {"expires": 60}},
    "train-topics": {"task": "assist.train_topics", "schedule": 24 * 3600.0, "options": {"expires": 3600}},
    "report-drift": {"task": "insights.report_drift", "schedule": 24 * 3600.0, "options": {"expires": 3600}},
    "gather-gaps": {"task": "quality.gather_gaps", "schedule": 24 * 3600.0, "options": {"expires": 3600}},
    "resume-training": {"task": "learning.resume_runs", "schedule": 30.0, "options": {"expires": 30, "queue": "training"}},
    "sweep-at-night": {"task": "learning.sweep_at_night", "schedule": 3600.0, "options": {"expires": 3600}},
    "retrain-at-night": {"task": "learning.retrain_at_night", "schedule": 3600.0, "options": {"expires": 3600}},
    "watch-canary": {"task": "learning.watch_canary", "schedule": 60.0, "options": {"expires": 60}},
    "answer-unseen": {"task": "learning.answer_unseen", "schedule": 5.0, "options": {"expires": 5, "queue": "generation"}},
    "resume-runs": {"task": "quality.resume_runs", "schedule": 60.0, "options": {"expires": 60}},
    "refresh-index": {"task": "knowledge.refresh_index", "schedule": 300.0, "options": {"expires": 300}},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    # 503 is how health pages say "not yet"; everything else that fails is worth a line.
    "filters": {"not_503": {"()": "django.utils.log.CallbackFilter", "callback": lambda r: getattr(r, "status_code", 0) != 503}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["not_503"]}},
    "root": {"handlers": ["console"], "level": env_choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))},
    "loggers": {"httpx2": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
