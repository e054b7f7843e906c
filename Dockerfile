# One image for web, workers and beat. The weights are not in it: `migrate` fetches them into the volume `models`.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN useradd --system --uid 10001 answerdesk && mkdir /data /models && chown answerdesk /data /models
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .
RUN SECRET_KEY=build DATABASE_URL=postgresql:///build REDIS_URL=redis://build python manage.py collectstatic --no-input
USER answerdesk
